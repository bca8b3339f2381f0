/** What `--json` prints, command by command. Documented in docs/cli.md. Rule: CLI-4. */
import { Type, type Static } from '../protocol/schema.js';

const OrNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

/** Amounts by name; ranges and sets in their text form. */
export const ResourcesJson = Type.Record(Type.String(), Type.Union([Type.Number(), Type.String()]));

const closed = { additionalProperties: false };

/** `tepui status` */
export const StatusJson = Type.Object(
  {
    nats: Type.Object({ url: Type.String(), version: Type.String() }, closed),
    masters: Type.Array(
      Type.Object(
        { name: Type.String(), pid: OrNull(Type.Integer()), leading: Type.Boolean(), epoch: Type.Integer() },
        closed,
      ),
    ),
    agents: Type.Array(
      Type.Object(
        { id: OrNull(Type.String()), name: Type.String(), pid: OrNull(Type.Integer()), resources: ResourcesJson },
        closed,
      ),
    ),
    dir: OrNull(Type.String()),
  },
  closed,
);
export type StatusJson = Static<typeof StatusJson>;
