/** A progress bar in the last line of the terminal, on standard error. */
import { SingleBar } from 'cli-progress';

/** Lines may be written while it is there: {@link wipe} before each, and it draws itself anew below. */
export interface Bar {
  update(done: number, payload: Readonly<Record<string, unknown>>, total?: number): void;
  wipe(): void;
  /** Leaves the line empty. */
  stop(): void;
}

/** `undefined` where standard error is no terminal. `format` names `{bar}`, `{value}`, `{total}` and what the payload has. */
export function terminalBar(
  format: string,
  total: number,
  payload: Readonly<Record<string, unknown>>,
): Bar | undefined {
  if (!process.stderr.isTTY) return undefined;
  const bar = new SingleBar({
    format,
    stream: withoutCursorMemory(process.stderr),
    barsize: 24,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    forceRedraw: true,
    // Signals are the business of the command. Lines beside the bar may be long: the terminal is left as it is, and the bar is cut.
    gracefulExit: false,
    linewrap: true,
  });
  bar.start(total, 0, payload);
  return {
    update: (done, next, newTotal) => {
      if (newTotal !== undefined) bar.setTotal(newTotal);
      bar.update(done, next);
    },
    wipe: () => void (bar.isActive && process.stderr.write('\r\u001b[K')),
    stop: () => bar.stop(),
  };
}

/** The library puts the cursor back to where it was at the start: above all lines that were written since. */
function withoutCursorMemory(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  // eslint-disable-next-line no-control-regex -- what is left out is made of control characters
  const write = (text: string): boolean => stream.write(text.replaceAll(/\u001b[78]/g, ''));
  return Object.create(stream, { write: { value: write } }) as NodeJS.WriteStream;
}
