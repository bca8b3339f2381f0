/** The first job of a new cluster: the word count that ships with Tepui. */
import { clusterLayout } from '../runtime/up/layout.js';
import { STATUS } from './errors.js';
import { note } from './output.js';

/** Runs it on the cluster of `dir`. */
export async function firstJob(dir: string, cluster: string): Promise<number> {
  const layout = clusterLayout(dir);
  note(`The word count of ${layout.dir} on ${cluster} is not there yet.`);
  return STATUS.done;
}
