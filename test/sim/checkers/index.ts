/** All checkers. */
import { absences } from './absences.js';
import { agentStore } from './agent-store.js';
import { agreement } from './agreement.js';
import type { NewChecker } from './checker.js';
import { conservation } from './conservation.js';
import { epochs } from './epochs.js';
import { fence } from './fence.js';
import { healthyTasks } from './healthy-tasks.js';
import { kills } from './kills.js';
import { launches } from './launches.js';
import { offerRate } from './offer-rate.js';
import { sequences } from './sequences.js';
import { inventories, silence } from './silence.js';
import { statusUpdates } from './status-updates.js';
import { storedFirst } from './stored-first.js';
import { taskMoves } from './task-moves.js';
import { truth } from './truth.js';

export const CHECKERS: readonly NewChecker[] = [
  epochs,
  fence,
  storedFirst,
  conservation,
  offerRate,
  sequences,
  launches,
  statusUpdates,
  taskMoves,
  truth,
  healthyTasks,
  agentStore,
  absences,
  silence,
  inventories,
  kills,
  agreement,
];
