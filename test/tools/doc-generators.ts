/** All generated pages. */
import type { DocGenerator } from './generated-docs.js';
import { machinesPage } from './machines-page.js';
import { messagesPage } from './messages-page.js';
import { subjectsPage } from './subjects-page.js';
import { defaultsPage, errorsPage } from './tables-page.js';

export const DOC_GENERATORS: readonly DocGenerator[] = [
  subjectsPage,
  messagesPage,
  errorsPage,
  defaultsPage,
  machinesPage,
];
