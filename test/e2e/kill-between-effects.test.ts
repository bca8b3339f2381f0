/**
 * One launch, and a process that dies in it: right before each of the effects between ACCEPT and the end of the row, in turn, once with
 * what it has sent before on its way and once without. Each time the task ends as its command does, and was started once.
 */
import test from 'ava';
import { MortalCluster } from '../support/mortal-cluster.js';

const cluster = new MortalCluster();
test.before(() => cluster.up('--masters', '3', '--agents', '1'));
test.after.always(() => cluster.remove());

// ACCEPT's row, RUN_TASK, two updates and their acknowledgements, the row's deletion.
test('FLT-7 REG-3 ACC-4 UPD-3 a master that dies between any two effects of a launch loses nothing and starts nothing twice', (t) =>
  cluster.walk(t, 'master', 7));
