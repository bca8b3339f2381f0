/** The project's files as the checks see them. */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SourceFile {
  /** From the project's folder, with `/`. */
  path: string;
  text: string;
}

/** The project that this file was compiled in (`dist/test/tools/`). */
export const PROJECT_ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** All files below `folder` whose name ends with `ending`, in the order of their paths. A folder that does not exist has none. */
export async function filesBelow(root: string, folder: string, ending: string): Promise<SourceFile[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true, recursive: true }).catch(() => []);
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Promise.all(
    paths.map(async (path) => ({
      path: relative(root, path).split(sep).join('/'),
      text: await readFile(path, 'utf8'),
    })),
  );
}
