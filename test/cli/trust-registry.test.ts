import test from 'ava';
import { trustRegistry } from '../../cli/commands/trust-registry.js';
import { STATUS } from '../../cli/errors.js';

test('CLI-7 EPO-5 a registry in doubt is trusted, another one is left alone', async (t) => {
  for (const registryInDoubt of [true, false]) {
    const asked: string[] = [];
    const client = {
      ask: (message: string) => {
        asked.push(message);
        return Promise.resolve(message === 'GET_MASTER' ? { getMaster: { registryInDoubt } } : {});
      },
    };
    const status = await trustRegistry(client as never, { json: true } as never);
    t.is(status, registryInDoubt ? STATUS.done : STATUS.no);
    t.deepEqual(asked, registryInDoubt ? ['GET_MASTER', 'TRUST_REGISTRY'] : ['GET_MASTER']);
  }
});
