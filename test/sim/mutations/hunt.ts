/** Runs seeds until one breaks the rule named: `hunt.js RULE FROM COUNT`. Prints what it found as one line of JSON. */
import { simulate } from '../simulate.js';

const [rule, from, count] = process.argv.slice(2);
/** Other rules that broke on the way. */
const others = new Set<string>();
let seed = Number(from);
let message: string | undefined;
for (; seed < Number(from) + Number(count) && message === undefined; seed++) {
  const { failure } = simulate(seed);
  if (failure === undefined) continue;
  if (failure.rule === rule) message = failure.message;
  else others.add(failure.rule);
}
process.stdout.write(
  `${JSON.stringify({ seed: seed - 1, caught: message !== undefined, message, others: [...others] })}\n`,
);
