// `npm run test:unit`: quick tests, some of them with a real nats-server on a port of its own.
export default {
  // Everything that is not end to end: a list of folders would pass over the next one.
  files: ['dist/test/**/*.test.js', '!dist/test/e2e/**'],
  concurrency: 2,
  timeout: '60s',
  nodeArguments: ['--enable-source-maps'],
};
