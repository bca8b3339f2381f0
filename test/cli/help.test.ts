import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { TSchema } from '../../protocol/schema.js';
import * as schemas from '../../cli/json-schemas.js';
import { tepui } from '../../cli/program.js';

const page = readFileSync(fileURLToPath(new URL('../../../docs/cli.md', import.meta.url)), 'utf8');
const program = tepui();

test('CLI-5 every command says what it does, and shows how by examples', (t) => {
  for (const command of program.commands) {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) });
    command.outputHelp();
    t.true(command.description().endsWith('.'), command.name());
    t.regex(help, new RegExp(`Examples:\\n  tepui ${command.name()}`), command.name());
  }
});

test('CLI-5 every command and every option has its place in docs/cli.md', (t) => {
  for (const command of program.commands) {
    t.true(page.includes(`## tepui ${command.name()}`), command.name());
    for (const { long } of command.options)
      if (long !== null && long !== undefined) t.true(page.includes(`\`${long}`), `${command.name()} ${long}`);
  }
});

/** Names of members, of members' members and so on. */
function membersOf(schema: TSchema, found = new Set<string>()): Set<string> {
  const { properties, items, anyOf } = schema as {
    properties?: Record<string, TSchema>;
    items?: TSchema;
    anyOf?: TSchema[];
  };
  for (const [name, member] of Object.entries(properties ?? {})) membersOf(member, found.add(name));
  if (items !== undefined) membersOf(items, found);
  for (const one of anyOf ?? []) membersOf(one, found);
  return found;
}

test('CLI-4 every member of what --json prints is in docs/cli.md', (t) => {
  const all = Object.entries(schemas).filter(([name]) => name.endsWith('Json'));
  t.true(all.length > 10);
  for (const [name, schema] of all)
    for (const member of membersOf(schema as TSchema)) t.true(page.includes(`\`${member}\``), `${name}: ${member}`);
  for (const name of Object.keys(schemas.RunEvents)) t.true(page.includes(`\`${name}\``), name);
});
