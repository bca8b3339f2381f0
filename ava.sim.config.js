// `npm run test:sim`: whole clusters under faults, and the planted bugs that each checker must catch.
export default {
  files: ['dist/test/sim/**/*.test.js'],
  concurrency: 2,
  timeout: '5m',
  nodeArguments: ['--enable-source-maps'],
};
