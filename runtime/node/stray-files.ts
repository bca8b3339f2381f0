/** Open files that a process would hand on to whatever it starts: from whoever started it, or opened by an addon. Rule: PRC-3. */
import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** Octal, as /proc shows flags. */
const CLOSE_ON_EXEC = 0o2_000_000;
const FIRST_AFTER_OUTPUTS = 3;

/**
 * Open files above stderr that a child would inherit. Node opens none such, and at its start takes the inherited ones out, but only up to the
 * first gap above 15: a terminal's or a supervisor's file number 251 goes through. A task could write to it.
 */
export function strayFiles(): number[] {
  let names: string[];
  try {
    names = readdirSync('/proc/self/fdinfo');
  } catch {
    return [];
  }
  return names.map(Number).filter((file) => file >= FIRST_AFTER_OUTPUTS && isInherited(file));
}

/** Closes them, and returns which. Only at the start of a process: later, an addon may have opened one for itself. */
export function closeStrayFiles(): number[] {
  const files = strayFiles();
  for (const file of files) closeSync(file);
  return files;
}

function isInherited(file: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${file}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    // The one through which the folder was read.
    return false;
  }
}
