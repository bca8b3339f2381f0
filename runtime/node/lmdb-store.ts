/**
 * The Store port on LMDB: one environment in a folder of the agent. What was answered survives the death of the process. A flush to the disk
 * runs right behind each transaction, not before its answer: a power cut may lose the last moments, whole transactions from the end, and with
 * them go all containers, too. Rules: POR-23, STO-1, STO-2.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Log, Store } from '../ports.js';

export interface LmdbStoreSettings {
  /** Made if need be, for this user alone. Outside every sandbox. */
  readonly folder: string;
  readonly log: Log;
  /** Something could not be stored (a full disk): the agent must not go on as if it were. */
  readonly onFatal: (error: Error) => void;
}

export interface LmdbStore extends Store {
  /** After what was asked for is stored. */
  close(): Promise<void>;
}

/** Address space, not disk: the file grows as it is needed. */
const MAP_BYTES = 16 * 2 ** 30;
/** A record of our own, which no actor can name: a store without it has lost the others too. */
const FORMAT_KEY = Buffer.from('\0format');
const FORMAT = Buffer.from('1');
/** Beside the database: says that there was one, however empty it looks. */
const MARK = 'made';
/** Every LMDB file has it in the first bytes of its first page. Without a look, a file of something else ends the process without a word. */
const MAGIC = Buffer.from([0xde, 0xc0, 0xef, 0xbe]);
const HEADER_BYTES = 64;

/** @throws Error that says what to do when the store cannot be opened or read */
export function openLmdbStore({ folder, log, onFatal }: LmdbStoreSettings): LmdbStore {
  const database = openDatabase(folder);
  /** Answers are given in the order of asking, also those of commits without a write. */
  let last: Promise<unknown> = Promise.resolve();
  let failed = false;

  const fail = (error: unknown): void => {
    if (failed) return;
    failed = true;
    onFatal(new Error(`The agent's records in ${folder} could not be stored.`, { cause: error }));
  };

  return {
    load() {
      try {
        const entries = [...database.getRange({})].filter(({ key }) => !FORMAT_KEY.equals(key));
        return entries.map(({ key, value }) => [textOf(key), Uint8Array.from(value)] as const);
      } catch (error) {
        throw unusable(folder, error);
      }
    },

    commit(writes, onStored) {
      if (failed) return;
      try {
        // What is written within one call of `batch` is in one transaction.
        const stored = writes.length === 0 ? undefined : write(database, writes);
        last = Promise.all([last, stored]);
      } catch (error) {
        last = Promise.reject(error as Error);
      }
      last = last.then(() => {
        try {
          onStored();
        } catch (error) {
          log.write('error', 'A callback for a record threw', {
            error: error instanceof Error ? error.stack : String(error),
          });
        }
      });
      last.catch(fail);
    },

    async close() {
      await last.catch(() => undefined);
      await database.close();
    },
  };
}

async function write(database: Database, writes: Parameters<Store['commit']>[0]): Promise<void> {
  const parts: Promise<unknown>[] = [];
  const whole = database.batch(() => {
    for (const { key, value } of writes) {
      const bytes = Buffer.from(key);
      parts.push(value === undefined ? database.remove(bytes) : database.put(bytes, Buffer.from(value)));
    }
  });
  // Each has its own word about a failure; none may be left unheard.
  await Promise.all([whole, ...parts]);
}

type Database = RootDatabase<Buffer, Buffer>;

function openDatabase(folder: string): Database {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    requireDatabase(folder);
    const database = open<Buffer, Buffer>({
      path: folder,
      encoding: 'binary',
      keyEncoding: 'binary',
      mapSize: MAP_BYTES,
      noSubdir: false,
      maxDbs: 1,
    });
    requireFormat(folder, database);
    return database;
  } catch (error) {
    throw unusable(folder, error);
  }
}

function requireDatabase(folder: string): void {
  const path = join(folder, 'data.mdb');
  if (!existsSync(path)) return;
  const header = Buffer.alloc(HEADER_BYTES);
  const file = openSync(path, 'r');
  readSync(file, header);
  closeSync(file);
  if (!header.includes(MAGIC)) throw new Error('data.mdb is no database');
}

/** A database that was emptied or cut off would look like that of a new agent, whose first deed is to end all that runs. */
function requireFormat(folder: string, database: Database): void {
  const mark = join(folder, MARK);
  const format = database.get(FORMAT_KEY);
  if (format !== undefined && !FORMAT.equals(format)) throw new Error(`its format is ${format.toString()}, not 1`);
  if (format === undefined && existsSync(mark)) throw new Error('it has lost its records');
  if (format === undefined) database.putSync(FORMAT_KEY, FORMAT);
  if (!existsSync(mark)) writeFileSync(mark, '', { mode: 0o600 });
}

const textOf = (key: Buffer): string => Buffer.from(key).toString('utf8');

const unusable = (folder: string, error: unknown): Error =>
  new Error(
    `The agent's records in ${folder} cannot be read (${error instanceof Error ? error.message : String(error)}). ` +
      `See that the disk is well and the folder this user's own. If the records are lost, move the folder away: the agent then ` +
      `registers as a new one, and ends what its tasks have left running.`,
    { cause: error },
  );
