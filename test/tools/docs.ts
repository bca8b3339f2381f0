/** `npm run docs` writes the generated pages; `npm run check:docs` (`--check`) writes nothing and fails when one is not fresh. */
import { DOC_GENERATORS } from './doc-generators.js';
import { staleDocs, writeDocs } from './generated-docs.js';
import { PROJECT_ROOT } from './source-files.js';

if (process.argv.includes('--check')) {
  const stale = await staleDocs(PROJECT_ROOT, DOC_GENERATORS);
  for (const path of stale) console.error(`${path} is not what its source says: run "npm run docs"`);
  console.log(`docs: ${DOC_GENERATORS.length} generated pages, ${stale.length} stale`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  const written = await writeDocs(PROJECT_ROOT, DOC_GENERATORS);
  console.log(written.length === 0 ? 'docs: all fresh' : `docs: wrote ${written.join(', ')}`);
}
