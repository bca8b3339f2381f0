/** Small messages that the others are made of: labels, parameters, addresses, secrets, images. Source: Mesos v1 `mesos.proto`. */
import { definitions, Text, Type, type Static, type TSchema } from './schema.js';

/** Longest file system path or path inside a sandbox, in characters (`PATH_MAX` of Linux). */
export const MAX_PATH = 4096;

/**
 * `schema` under the name of its message, which becomes the title. Every message that occurs inside of several others goes through here,
 * so that documentation can link to it, and a compiler that knows definitions could share its check.
 */
export const named = <T extends TSchema>(name: string, schema: T) => {
  definitions[name] = { ...schema, title: name };
  return Type.Unsafe<Static<T>>(Type.Ref(name));
};

/** Bytes with an upper bound; `max` is in bytes. */
export const BoundedBytes = (max: number) =>
  Type.Refine(
    Type.Unsafe<Uint8Array>({ title: 'bytes', maxLength: max }),
    (value) => value instanceof Uint8Array && value.byteLength <= max,
    () => `must be at most ${max} bytes`,
  );

/**
 * A map from a name to `value`, at most `max` entries.
 * The key pattern spells out "any character" because `.` skips line breaks, and a key that the pattern skips would carry an unchecked value.
 */
export const MapOf = <T extends TSchema>(value: T, max = 256) =>
  Type.Record(Type.String({ pattern: '^[\\s\\S]*$' }), value, { maxProperties: max });

/** A UUID as its 16 bytes; other lengths are let through within reason, since to Mesos it is opaque. */
export const Uuid = BoundedBytes(255);

/** A path. */
export const Path = Text(MAX_PATH);

/** A port or another unsigned 16-bit number. Mesos has `uint32` here. */
export const PortNumber = Type.Integer({ minimum: 0, maximum: 65_535 });

/** An unsigned 32-bit number. */
export const Uint32 = Type.Integer({ minimum: 0, maximum: 4_294_967_295 });

/** A signed 32-bit number. */
export const Int32 = Type.Integer({ minimum: -2_147_483_648, maximum: 2_147_483_647 });

/** One label; a key may occur more than once in `Labels`, with and without a value. */
export const Label = Type.Object({ key: Text(1024), value: Type.Optional(Text(65_536)) });
export type Label = Static<typeof Label>;

/** Free key/value pairs. */
export const Labels = named('Labels', Type.Object({ labels: Type.Optional(Type.Array(Label, { maxItems: 1024 })) }));
export type Labels = Static<typeof Labels>;

/** A key with a value. */
export const Parameter = Type.Object({ key: Text(1024), value: Text(65_536) });
export type Parameter = Static<typeof Parameter>;

/** A list of parameters. */
export const Parameters = Type.Object({ parameter: Type.Optional(Type.Array(Parameter, { maxItems: 1024 })) });
export type Parameters = Static<typeof Parameters>;

/** Where a process listens. */
export const Address = Type.Object({
  hostname: Type.Optional(Text(255)),
  ip: Type.Optional(Text(64)),
  port: PortNumber,
});
export type Address = Static<typeof Address>;

/** A URL in parts. */
export const URL = Type.Object({
  scheme: Text(32),
  address: Address,
  path: Type.Optional(Path),
  query: Type.Optional(Type.Array(Parameter, { maxItems: 256 })),
  fragment: Type.Optional(Text()),
});
export type URL = Static<typeof URL>;

/** A user with a password, as an image registry wants it. Deprecated by Mesos in favour of `Secret`. */
export const Credential = Type.Object({ principal: Text(255), secret: Type.Optional(Text()) });
export type Credential = Static<typeof Credential>;

/** Mesos `Secret.Type`. */
export const SecretType = Type.Enum(['UNKNOWN', 'REFERENCE', 'VALUE']);
export type SecretType = Static<typeof SecretType>;

/** A secret, by value or by the name that a secret resolver knows. */
export const Secret = named(
  'Secret',
  Type.Object({
    type: Type.Optional(SecretType),
    reference: Type.Optional(Type.Object({ name: Text(1024), key: Type.Optional(Text(1024)) })),
    value: Type.Optional(Type.Object({ data: BoundedBytes(1_048_576) })),
  }),
);
export type Secret = Static<typeof Secret>;

/** Mesos `Image.Type`. */
export const ImageType = Type.Enum(['APPC', 'DOCKER']);
export type ImageType = Static<typeof ImageType>;

/** An image that gives a container its root file system. `cached` absent means true. */
export const Image = named(
  'Image',
  Type.Object({
    type: ImageType,
    appc: Type.Optional(
      Type.Object({ name: Text(1024), id: Type.Optional(Text(1024)), labels: Type.Optional(Labels) }),
    ),
    docker: Type.Optional(
      Type.Object({ name: Text(1024), credential: Type.Optional(Credential), config: Type.Optional(Secret) }),
    ),
    cached: Type.Optional(Type.Boolean()),
  }),
);
export type Image = Static<typeof Image>;
