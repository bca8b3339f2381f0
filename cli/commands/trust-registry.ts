/** `tepui trust-registry`: an operator's word that a registry that went back may be believed again. Rules: EPO-5, CLI-7. */
import type { Command } from 'commander';
import type { OperatorClient } from '../../runtime/client.js';
import { online, type Common } from '../command.js';
import { asOperator } from '../connection.js';
import { STATUS } from '../errors.js';
import type { TrustRegistryJson } from '../json-schemas.js';
import { say, sayJson } from '../output.js';

const EXAMPLES = `
Examples:
  tepui trust-registry
  tepui trust-registry --json`;

export function trustRegistryCommand(program: Command): void {
  const command = program
    .command('trust-registry')
    .summary('believe a registry that came back older')
    .description(
      'Ends the doubt that begins when storage comes back older than what happened. Until then no framework is torn down for its absence. See first that schedulers and agents are back.',
    )
    .addHelpText('after', EXAMPLES);
  online<Common>(command, (_args, options) => asOperator(options, ({ client }) => trustRegistry(client, options)));
}

export async function trustRegistry(client: Pick<OperatorClient, 'ask'>, { json }: Common): Promise<number> {
  const { registryInDoubt: wasInDoubt } = (await client.ask('GET_MASTER', {})).getMaster;
  if (wasInDoubt) await client.ask('TRUST_REGISTRY', {});
  if (json === true) sayJson({ wasInDoubt } satisfies TrustRegistryJson);
  else say(wasInDoubt ? 'The registry is trusted again.' : 'The registry is not in doubt.');
  return wasInDoubt ? STATUS.done : STATUS.no;
}
