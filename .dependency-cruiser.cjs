// Who may import whom. Run by test/tools/import-rules.ts, which also sees to it that every room was looked at.
//
//   protocol ◄ actors ◄ runtime ◄ gateway, cli, frameworks
//
// `frameworks` stands outside: it gets in by the package's own exports, as a stranger's framework would.
const { exports: entries } = require('./package.json');

const ROOMS = 'protocol|actors|runtime|gateway|frameworks|cli|web|test|bench';
const room = (...names) => `^(${names.join('|')})/`;
const packages = (...names) => `(^|/)node_modules/(${names.join('|')})/`;

/** What the exports of package.json lead to; all that a framework sees of the house. */
const SDK = Object.values(entries).map((entry) => `^${entry.default.replace(/^\.\//, '').replace(/[.]/g, '\\.')}$`);
const TESTS = room('test', 'bench');
const NATS = packages('nats', '@nats-io/[^/]+');
const OBJECT_STORE = packages('@nats-io/obj');
/** Where statecharts are: everything else about an actor is plain functions. */
const STATECHARTS = [
  '^actors/.+\\.(machine|setup)\\.ts$',
  '^actors/.*/states/',
  '^actors/states/',
  '^actors/perform\\.ts$',
  '^runtime/actor-host\\.ts$',
];

const rule = (name, comment, from, to) => ({ name, severity: 'error', comment, from, to });
/** A room may import itself and the named rooms; packages and Node's modules are the business of other rules. */
const roomRule = (name, from, allowed, comment) =>
  rule(name, comment, { path: from }, { path: `^(${ROOMS})/`, pathNot: allowed });

module.exports = {
  forbidden: [
    roomRule('protocol-alone', '^protocol/', ['^protocol/'], 'protocol is the words: it knows nobody.'),
    roomRule(
      'actors-rooms',
      '^actors/',
      [room('actors', 'protocol')],
      'actors decide with the words of protocol alone.',
    ),
    roomRule(
      'runtime-rooms',
      '^runtime/',
      [room('runtime', 'actors', 'protocol')],
      'runtime serves the rooms to its right and does not know them.',
    ),
    roomRule(
      'gateway-rooms',
      '^gateway/',
      [room('gateway', 'runtime', 'protocol')],
      'gateway is a face over runtime and protocol.',
    ),
    roomRule(
      'cli-rooms',
      '^cli/',
      [room('cli', 'runtime', 'protocol'), '^frameworks/[^/]+\\.ts$', '^frameworks/[^/]+/(index|main)\\.ts$'],
      'cli starts things: runtime, protocol and the entry file of a framework.',
    ),
    roomRule(
      'frameworks-rooms',
      '^frameworks/',
      ['^frameworks/'],
      "A framework imports 'tepui' and 'tepui/protocol', as a stranger's would.",
    ),
    rule(
      'frameworks-sdk',
      'Only what package.json exports is the SDK.',
      { path: '^frameworks/' },
      { path: '^dist/', pathNot: SDK },
    ),
    rule('no-dist', 'Sources import sources.', { pathNot: '^frameworks/' }, { path: '^dist/', pathNot: SDK }),
    rule('nobody-imports-tests', 'What runs does not need what tests it.', { pathNot: '^test/' }, { path: '^test/' }),
    rule('nobody-imports-bench', 'What runs does not need what measures it.', { pathNot: TESTS }, { path: '^bench/' }),

    rule(
      'sim-without-the-world',
      'The simulator has ports of its own. What it shares with production must not lead to NATS or to the machine.',
      { path: '^runtime/sim/' },
      { path: '^runtime/(nats|node)/', reachable: true },
    ),

    rule(
      'protocol-packages',
      'protocol needs a codec and a schema library.',
      { path: '^protocol/' },
      { path: packages('.+'), pathNot: packages('msgpackr', 'typebox') },
    ),
    rule(
      'actors-packages',
      'actors need xstate alone.',
      { path: '^actors/' },
      { path: packages('.+'), pathNot: packages('xstate') },
    ),
    rule(
      'pure-rooms-no-node',
      'Effects are for runtime.',
      { path: room('protocol', 'actors') },
      { dependencyTypes: ['core'] },
    ),
    rule(
      'codec-only',
      'One file knows how bytes are made.',
      { pathNot: ['^protocol/codec\\.ts$', TESTS] },
      { path: packages('msgpackr') },
    ),
    rule(
      'statecharts-only',
      'The chart says when, plain functions say what. Types are free.',
      { pathNot: [...STATECHARTS, TESTS] },
      { path: packages('xstate'), dependencyTypesNot: ['type-only'] },
    ),
    rule(
      'nats-only-in-its-room',
      'One room translates NATS. Types are free.',
      { pathNot: ['^runtime/nats/', room('frameworks', 'cli'), TESTS] },
      { path: NATS, dependencyTypesNot: ['type-only'] },
    ),
    rule(
      'nats-object-store-only',
      'A framework and the command line keep artifacts in the object store; for the rest they have runtime. Types are free.',
      { path: room('frameworks', 'cli') },
      { path: NATS, pathNot: OBJECT_STORE, dependencyTypesNot: ['type-only'] },
    ),

    rule(
      'no-dev-packages',
      'Users do not have them.',
      { path: `^(${ROOMS})/`, pathNot: TESTS },
      { dependencyTypes: ['npm-dev'], pathNot: '/@types/' },
    ),
    rule(
      'declared-packages',
      'What is imported is in package.json.',
      {},
      { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    ),
    rule('resolvable', 'What is imported exists.', {}, { couldNotResolve: true }),
    rule(
      'no-circles',
      'Types may refer to each other, values may not.',
      {},
      { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    ),
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^dist/'] },
    exclude: { path: ['^web/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
