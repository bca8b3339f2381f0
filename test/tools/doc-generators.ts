/** All generated pages. */
import type { DocGenerator } from './generated-docs.js';
import { subjectsPage } from './subjects-page.js';

export const DOC_GENERATORS: readonly DocGenerator[] = [subjectsPage];
