/** What holds after any fault of the control plane: all tasks ended as their commands do, each was started once, and nobody asked one to end. */
import type { ExecutionContext } from 'ava';
import { endsOf, statusOfTask, type Ledger } from './task-ledger.js';
import { KILLERS, type Tap } from './tap.js';

export async function endUnharmed(t: ExecutionContext, ledger: Ledger, count: number, tap: Tap): Promise<void> {
  ledger.open();
  const result = await ledger.run.ended;
  const ends = endsOf(result);
  const wrong = Array.from({ length: count }, (_, i) => i).filter((i) => ends.get(i) !== statusOfTask(i));
  t.deepEqual(wrong, [], `these ended otherwise than their commands: ${result.stdout}${result.stderr}`);
  t.deepEqual(
    ledger.lives().filter((life) => life.join() !== 'start'),
    [],
    'started more than once, or asked to end',
  );
  t.is(ledger.lives().length, count);
  t.deepEqual(
    tap.of(...KILLERS).map(({ type, to }) => `${type} to ${to}`),
    [],
  );
}
