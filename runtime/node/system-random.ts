/** Chance as the machine gives it: good for jitter and choices, and no secret. */
import type { Random } from '../ports.js';

export const systemRandom = (): Random => ({ next: () => Math.random() });
