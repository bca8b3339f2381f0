/** `docs/protocol/messages.md`: every message with its fields, from the schemas that check it. */
import { Envelope } from '../../protocol/envelope.js';
import { ANSWERS, MESSAGES } from '../../protocol/messages.js';
import { definitions, type TSchema } from '../../protocol/schema.js';
import { SUBJECTS, type SubjectName } from '../../protocol/subjects.js';
import type { DocGenerator } from './generated-docs.js';

/** What a JSON schema says that a reader wants to know. */
interface Shape {
  readonly type?: string;
  readonly title?: string;
  readonly $ref?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly items?: Shape;
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
}

const HEAD = [
  '# Messages',
  '',
  'Generated from the schemas in `protocol/` by `npm run docs`: change those.',
  '',
  'A message is one msgpack map, the envelope, whose `body` is the message. Names and nesting are those of Mesos v1, field names in camelCase,',
  'enums as texts, ids as texts. A field with `?` may be missing. Fields that are not listed are ignored.',
  '',
];

/** A type in a few words. */
function typeOf(shape: Shape): string {
  if (shape.$ref !== undefined) return `[${shape.$ref}](#${shape.$ref.toLowerCase()})`;
  if (shape.const !== undefined) return `\`${JSON.stringify(shape.const)}\``;
  if (shape.enum !== undefined) return shape.enum.map((value) => `\`${String(value)}\``).join(' \\| ');
  if (shape.type === 'array') return `list of ${typeOf(shape.items ?? {})}, at most ${shape.maxItems ?? '?'}`;
  const [value] = Object.values(shape.patternProperties ?? {});
  if (value !== undefined) return `map of text to ${typeOf(value)}`;
  if (shape.type === 'object') return 'map';
  if (shape.type === 'string') return `${shape.title === 'id' ? 'id' : 'text'}, at most ${shape.maxLength ?? '?'}`;
  if (shape.title === 'bytes') return `bytes${shape.maxLength === undefined ? '' : `, at most ${shape.maxLength}`}`;
  return shape.type ?? 'anything';
}

function fields(shape: Shape, path = ''): string[] {
  return Object.entries(shape.properties ?? {}).flatMap(([name, member]) => {
    const optional = shape.required?.includes(name) === true ? '' : '?';
    const at = `${path}${name}`;
    const inner = member.type === 'array' ? (member.items ?? {}) : member;
    const below = inner.properties === undefined ? [] : fields(inner, `${at}${member.type === 'array' ? '[]' : ''}.`);
    return [`| \`${at}\`${optional} | ${typeOf(member)} |`, ...below];
  });
}

function message(level: string, name: string, schema: TSchema): string[] {
  const rows = fields(schema as Shape);
  if (rows.length === 0) return [`${level} ${name}`, '', 'No fields.', ''];
  return [`${level} ${name}`, '', '| field | type |', '| --- | --- |', ...rows, ''];
}

export const messagesPage: DocGenerator = {
  path: 'docs/protocol/messages.md',
  render: () => {
    const lines = [...HEAD, ...message('##', 'Envelope', Envelope)];
    for (const name of Object.keys(MESSAGES) as SubjectName[]) {
      lines.push(`## On \`${SUBJECTS[name].template}\``, '', SUBJECTS[name].purpose, '');
      for (const [type, schema] of Object.entries(MESSAGES[name])) lines.push(...message('###', type, schema));
    }
    for (const [name, table] of Object.entries(ANSWERS)) {
      lines.push(`## Answers: ${name}`, '');
      for (const [type, schema] of Object.entries(table)) lines.push(...message('###', type, schema));
    }
    lines.push('## Shared messages', '');
    for (const [name, schema] of Object.entries(definitions)) lines.push(...message('###', name, schema));
    return `${lines.join('\n').trimEnd()}\n`;
  },
};
