// `npm run test:e2e`: few and slow, with real processes. Processes instead of threads, since signals and exit hooks are part of what is tested.
export default {
  files: ['dist/test/e2e/**/*.test.js'],
  concurrency: 2,
  timeout: '5m',
  workerThreads: false,
  nodeArguments: ['--enable-source-maps'],
};
