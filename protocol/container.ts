/** Commands, containers and checks. Source: Mesos v1 `mesos.proto`. Ids of containers keep their nesting: `{ value, parent? }`. */
import { Image, Int32, Labels, named, Parameter, Path, PortNumber, Secret, Uint32 } from './common.js';
import { Volume } from './resource.js';
import { DurationInfo, Natural, NonNegative, Text, Type, type Static, type TSchema } from './schema.js';

export { Label, Labels, Secret } from './common.js';

/** How deep containers may nest: executor, task, and a debug session inside of it, with room to spare. */
const MAX_NESTING = 4;

/** A container, and the one it is nested in. Each level is at most 242 characters, without `.` and space (the text form joins levels with dots). */
export interface ContainerID {
  value: string;
  parent?: ContainerID;
}

const containerIDPart = Type.String({
  title: 'container id',
  minLength: 1,
  maxLength: 242,
  pattern: '^[^\\u0000-\\u0020\\u007f./\\\\]+$',
});

function containerIDSchema(levels: number): TSchema {
  if (levels === 1) return Type.Object({ value: containerIDPart });
  return Type.Object({ value: containerIDPart, parent: Type.Optional(containerIDSchema(levels - 1)) });
}

/** Mesos `ContainerID`. */
export const ContainerID = Type.Unsafe<ContainerID>(containerIDSchema(MAX_NESTING));

/** One variable: type VALUE (the default) has `value`, SECRET has `secret`. */
export const EnvironmentVariable = Type.Object({
  name: Text(1024),
  type: Type.Optional(Type.Enum(['UNKNOWN', 'VALUE', 'SECRET'])),
  value: Type.Optional(Text(131_072)),
  secret: Type.Optional(Secret),
});
export type EnvironmentVariable = Static<typeof EnvironmentVariable>;

/** Mesos `Environment`. */
export const Environment = Type.Object({
  variables: Type.Optional(Type.Array(EnvironmentVariable, { maxItems: 4096 })),
});
export type Environment = Static<typeof Environment>;

/** What to fetch into the sandbox. `extract` absent means true. */
export const URI = Type.Object({
  value: Text(8192),
  executable: Type.Optional(Type.Boolean()),
  extract: Type.Optional(Type.Boolean()),
  cache: Type.Optional(Type.Boolean()),
  outputFile: Type.Optional(Path),
});
export type URI = Static<typeof URI>;

/** A command. `shell` absent or true: `/bin/sh -c value`; false: the program `value` with the vector `arguments` (the first is its own name). */
export const CommandInfo = named(
  'CommandInfo',
  Type.Object({
    uris: Type.Optional(Type.Array(URI, { maxItems: 1024 })),
    environment: Type.Optional(Environment),
    shell: Type.Optional(Type.Boolean()),
    value: Type.Optional(Text(131_072)),
    arguments: Type.Optional(Type.Array(Text(131_072), { maxItems: 4096 })),
    user: Type.Optional(Text(255)),
  }),
);
export type CommandInfo = Static<typeof CommandInfo>;

/** Time between SIGTERM and SIGKILL; the built-in executors take 3 s when it is absent. */
export const KillPolicy = Type.Object({ gracePeriod: Type.Optional(DurationInfo) });
export type KillPolicy = Static<typeof KillPolicy>;

/** Mesos `NetworkInfo.Protocol`. */
export const NetworkProtocol = Type.Enum(['IPv4', 'IPv6']);
export type NetworkProtocol = Static<typeof NetworkProtocol>;

/** Kind of a check or health check. */
export const CheckType = Type.Enum(['UNKNOWN', 'COMMAND', 'HTTP', 'TCP']);
export type CheckType = Static<typeof CheckType>;

/** A health check: `consecutiveFailures` in a row kill the task. Times in seconds; absent: delay 15, interval 10, timeout 20, failures 3, grace 10. */
export const HealthCheck = named(
  'HealthCheck',
  Type.Object({
    type: Type.Optional(CheckType),
    command: Type.Optional(CommandInfo),
    http: Type.Optional(
      Type.Object({
        protocol: Type.Optional(NetworkProtocol),
        scheme: Type.Optional(Text(32)),
        port: PortNumber,
        path: Type.Optional(Path),
        statuses: Type.Optional(Type.Array(Uint32, { maxItems: 1024 })),
      }),
    ),
    tcp: Type.Optional(Type.Object({ protocol: Type.Optional(NetworkProtocol), port: PortNumber })),
    delaySeconds: Type.Optional(NonNegative),
    intervalSeconds: Type.Optional(NonNegative),
    timeoutSeconds: Type.Optional(NonNegative),
    consecutiveFailures: Type.Optional(Uint32),
    gracePeriodSeconds: Type.Optional(NonNegative),
  }),
);
export type HealthCheck = Static<typeof HealthCheck>;

/** A check whose result is only reported. Times in seconds; absent: delay 15, interval 10, timeout 20 (0: no time-out). */
export const CheckInfo = Type.Object({
  type: Type.Optional(CheckType),
  command: Type.Optional(Type.Object({ command: CommandInfo })),
  http: Type.Optional(Type.Object({ port: PortNumber, path: Type.Optional(Path) })),
  tcp: Type.Optional(Type.Object({ port: PortNumber })),
  delaySeconds: Type.Optional(NonNegative),
  intervalSeconds: Type.Optional(NonNegative),
  timeoutSeconds: Type.Optional(NonNegative),
});
export type CheckInfo = Static<typeof CheckInfo>;

/** The last result of a check; the part that `type` names is set, and empty while there is no result yet. */
export const CheckStatusInfo = Type.Object({
  type: Type.Optional(CheckType),
  command: Type.Optional(Type.Object({ exitCode: Type.Optional(Int32) })),
  http: Type.Optional(Type.Object({ statusCode: Type.Optional(Uint32) })),
  tcp: Type.Optional(Type.Object({ succeeded: Type.Optional(Type.Boolean()) })),
});
export type CheckStatusInfo = Static<typeof CheckStatusInfo>;

/** A port of the host that leads to one of the container; `protocol` absent means tcp. */
export const PortMapping = Type.Object({
  hostPort: PortNumber,
  containerPort: PortNumber,
  protocol: Type.Optional(Text(32)),
});
export type PortMapping = Static<typeof PortMapping>;

/** A network that a container joins or has joined. */
export const NetworkInfo = named(
  'NetworkInfo',
  Type.Object({
    ipAddresses: Type.Optional(
      Type.Array(Type.Object({ protocol: Type.Optional(NetworkProtocol), ipAddress: Type.Optional(Text(64)) }), {
        maxItems: 64,
      }),
    ),
    name: Type.Optional(Text(255)),
    groups: Type.Optional(Type.Array(Text(255), { maxItems: 256 })),
    labels: Type.Optional(Labels),
    portMappings: Type.Optional(Type.Array(PortMapping, { maxItems: 1024 })),
  }),
);
export type NetworkInfo = Static<typeof NetworkInfo>;

/** Mesos `CapabilityInfo.Capability`: the capabilities of Linux without their prefix. */
// prettier-ignore
export const LinuxCapability = Type.Enum([
  'UNKNOWN', 'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP',
  'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE',
  'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME',
  'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG',
  'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF', 'CHECKPOINT_RESTORE',
]);
export type LinuxCapability = Static<typeof LinuxCapability>;

/** Mesos `CapabilityInfo`. */
export const CapabilityInfo = Type.Object({
  capabilities: Type.Optional(Type.Array(LinuxCapability, { maxItems: 64 })),
});
export type CapabilityInfo = Static<typeof CapabilityInfo>;

/** What a container shares with the host and may do there. `shareCgroups` absent means true; `shmSize` is in MB. */
export const LinuxInfo = Type.Object({
  capabilityInfo: Type.Optional(CapabilityInfo),
  boundingCapabilities: Type.Optional(CapabilityInfo),
  effectiveCapabilities: Type.Optional(CapabilityInfo),
  sharePidNamespace: Type.Optional(Type.Boolean()),
  seccomp: Type.Optional(
    Type.Object({ profileName: Type.Optional(Text(255)), unconfined: Type.Optional(Type.Boolean()) }),
  ),
  ipcMode: Type.Optional(Type.Enum(['UNKNOWN', 'PRIVATE', 'SHARE_PARENT'])),
  shmSize: Type.Optional(Uint32),
  shareCgroups: Type.Optional(Type.Boolean()),
});
export type LinuxInfo = Static<typeof LinuxInfo>;

/** Mesos `RLimitInfo.RLimit.Type`. */
// prettier-ignore
export const RLimitType = Type.Enum([
  'UNKNOWN', 'RLMT_AS', 'RLMT_CORE', 'RLMT_CPU', 'RLMT_DATA', 'RLMT_FSIZE', 'RLMT_LOCKS', 'RLMT_MEMLOCK', 'RLMT_MSGQUEUE',
  'RLMT_NICE', 'RLMT_NOFILE', 'RLMT_NPROC', 'RLMT_RSS', 'RLMT_RTPRIO', 'RLMT_RTTIME', 'RLMT_SIGPENDING', 'RLMT_STACK',
]);
export type RLimitType = Static<typeof RLimitType>;

/** POSIX limits of a container; both bounds absent means unlimited. */
export const RLimitInfo = Type.Object({
  rlimits: Type.Optional(
    Type.Array(
      Type.Object({ type: Type.Optional(RLimitType), hard: Type.Optional(Natural), soft: Type.Optional(Natural) }),
      { maxItems: 64 },
    ),
  ),
});
export type RLimitInfo = Static<typeof RLimitInfo>;

/** A pseudo-terminal for the task. */
export const TTYInfo = Type.Object({ windowSize: Type.Optional(Type.Object({ rows: Uint32, columns: Uint32 })) });
export type TTYInfo = Static<typeof TTYInfo>;

/** Mesos `ContainerInfo.DockerInfo`. */
export const DockerInfo = Type.Object({
  image: Text(1024),
  network: Type.Optional(Type.Enum(['HOST', 'BRIDGE', 'NONE', 'USER'])),
  portMappings: Type.Optional(Type.Array(PortMapping, { maxItems: 1024 })),
  privileged: Type.Optional(Type.Boolean()),
  parameters: Type.Optional(Type.Array(Parameter, { maxItems: 256 })),
  forcePullImage: Type.Optional(Type.Boolean()),
  volumeDriver: Type.Optional(Text(255)),
});
export type DockerInfo = Static<typeof DockerInfo>;

/** Mesos `ContainerInfo.Type`. */
export const ContainerType = Type.Enum(['DOCKER', 'MESOS']);
export type ContainerType = Static<typeof ContainerType>;

/** What a container looks like from inside. */
export const ContainerInfo = named(
  'ContainerInfo',
  Type.Object({
    type: ContainerType,
    volumes: Type.Optional(Type.Array(Volume, { maxItems: 1024 })),
    hostname: Type.Optional(Text(255)),
    docker: Type.Optional(DockerInfo),
    mesos: Type.Optional(Type.Object({ image: Type.Optional(Image) })),
    networkInfos: Type.Optional(Type.Array(NetworkInfo, { maxItems: 64 })),
    linuxInfo: Type.Optional(LinuxInfo),
    rlimitInfo: Type.Optional(RLimitInfo),
    ttyInfo: Type.Optional(TTYInfo),
  }),
);
export type ContainerInfo = Static<typeof ContainerInfo>;

/** Where a container is: its id, its addresses, and the process that it began with. */
export const ContainerStatus = Type.Object({
  containerId: Type.Optional(ContainerID),
  networkInfos: Type.Optional(Type.Array(NetworkInfo, { maxItems: 64 })),
  cgroupInfo: Type.Optional(Type.Object({ netCls: Type.Optional(Type.Object({ classid: Type.Optional(Uint32) })) })),
  executorPid: Type.Optional(Uint32),
});
export type ContainerStatus = Static<typeof ContainerStatus>;

/** Mesos `DiscoveryInfo.Visibility`. */
export const Visibility = Type.Enum(['FRAMEWORK', 'CLUSTER', 'EXTERNAL']);
export type Visibility = Static<typeof Visibility>;

/** A port that a task listens on. */
export const Port = Type.Object({
  number: PortNumber,
  name: Type.Optional(Text(255)),
  protocol: Type.Optional(Text(32)),
  visibility: Type.Optional(Visibility),
  labels: Type.Optional(Labels),
});
export type Port = Static<typeof Port>;

/** Mesos `Ports`. */
export const Ports = Type.Object({ ports: Type.Optional(Type.Array(Port, { maxItems: 1024 })) });
export type Ports = Static<typeof Ports>;

/** How others find a task; it is only published. */
export const DiscoveryInfo = named(
  'DiscoveryInfo',
  Type.Object({
    visibility: Visibility,
    name: Type.Optional(Text(1024)),
    environment: Type.Optional(Text(255)),
    location: Type.Optional(Text(255)),
    version: Type.Optional(Text(255)),
    ports: Type.Optional(Ports),
    labels: Type.Optional(Labels),
  }),
);
export type DiscoveryInfo = Static<typeof DiscoveryInfo>;
