/** Ends `npm run build`: takes compiled files away whose source is gone, so that a deleted test is not run for ever. */
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { PROJECT_ROOT } from './source-files.js';

const root = process.argv[2] ?? PROJECT_ROOT;
const dist = join(root, 'dist');
const COMPILED = /\.(js|js\.map|d\.ts)$/;
/** The console's bundle is not the compiler's. */
const KEPT = join(dist, 'web');

for (const entry of await readdir(dist, { withFileTypes: true, recursive: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || !COMPILED.test(entry.name) || path.startsWith(KEPT)) continue;
  const source = join(root, relative(dist, path)).replace(COMPILED, '.ts');
  if (existsSync(source)) continue;
  await rm(path, { force: true });
  console.log(`removed ${relative(root, path)}: its source is gone`);
}
