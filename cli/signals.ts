/** The first signal asks for an orderly end, the second for one at once. Rules: UP-2, RUN-6. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof SIGNALS)[number];

/** Terminal and npm may both send the signal of one Ctrl-C: what comes so soon after the first is no second. */
const SAME_KEY_MS = 400;

/** Listens until the returned function is called. */
export function onStopSignals(handlers: {
  first: (signal: StopSignal) => void;
  second: (signal: StopSignal) => void;
}): () => void {
  let firstMs: number | undefined;
  let isSecond = false;
  const listeners = SIGNALS.map((signal) => {
    const listener = (): void => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        handlers.first(signal);
      } else if (!isSecond && nowMs - firstMs > SAME_KEY_MS) {
        isSecond = true;
        handlers.second(signal);
      }
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return () => listeners.forEach(({ signal, listener }) => process.removeListener(signal, listener));
}

const NUMBERS: Readonly<Record<StopSignal, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/** The exit status of a process that a signal ended. */
export const signalStatus = (signal: StopSignal): number => 128 + NUMBERS[signal];
