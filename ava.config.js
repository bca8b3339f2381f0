// `npm run test:unit`: quick tests, some of them with a real nats-server on a port of its own.
export default {
  // Everything but the slow ones: a list of folders would pass over the next one.
  files: ['dist/test/**/*.test.js', '!dist/test/e2e/**', '!dist/test/sim/**'],
  concurrency: 2,
  timeout: '60s',
  nodeArguments: ['--enable-source-maps'],
};
