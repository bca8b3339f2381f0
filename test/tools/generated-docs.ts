/** Pages that are made from tables in the source, so that they cannot say anything else. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** One page. Add yours to `doc-generators.ts`. */
export interface DocGenerator {
  /** From the project's folder, with `/`. Pages below `docs/protocol/` are left alone by prettier; others must come out as it likes them. */
  path: string;
  /** The whole page. The same source gives the same text: no date, no version of a tool. */
  render(): string | Promise<string>;
}

/** Paths of the pages that are missing or differ from what their generators say now. */
export async function staleDocs(root: string, generators: readonly DocGenerator[]): Promise<string[]> {
  const stale: string[] = [];
  for (const generator of generators) {
    const found = await readFile(join(root, generator.path), 'utf8').catch(() => undefined);
    if (found !== (await generator.render())) stale.push(generator.path);
  }
  return stale;
}

/** Writes all pages. Returns the paths of those that changed. */
export async function writeDocs(root: string, generators: readonly DocGenerator[]): Promise<string[]> {
  const stale = await staleDocs(root, generators);
  for (const generator of generators) {
    if (!stale.includes(generator.path)) continue;
    await mkdir(dirname(join(root, generator.path)), { recursive: true });
    await writeFile(join(root, generator.path), await generator.render());
  }
  return stale;
}
