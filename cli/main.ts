#!/usr/bin/env node
/** Entry of the command `tepui`. */
import { CommanderError } from 'commander';
import { explain, STATUS } from './errors.js';
import { tepui } from './program.js';

// Whoever reads our output may stop at any time (`tepui ps | head`).
process.stdout.on('error', () => {
  // Who has something to end listens too, and does that first.
  if (process.stdout.listenerCount('error') === 1) process.exit(process.exitCode ?? STATUS.done);
});
// A terminal that is gone must not end a supervisor before it has ended what it started.
process.stderr.on('error', () => undefined);

const program = tepui();
for (const command of [program, ...program.commands]) command.exitOverride();
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    const usage = process.argv[2] === 'run' ? 125 : STATUS.usage;
    process.exitCode = error.exitCode === 0 ? STATUS.done : usage;
  } else {
    process.stderr.write(`${explain(error)}\n`);
    process.exitCode = STATUS.no;
  }
}
