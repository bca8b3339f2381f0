/** `docs/protocol/subjects.md`, from the table of subjects and the messages that each of them carries. */
import { MESSAGES } from '../../protocol/messages.js';
import { permissionsOf, SUBJECTS, type Role, type SubjectName, type SubjectRow } from '../../protocol/subjects.js';
import type { DocGenerator } from './generated-docs.js';

export const subjectsPage: DocGenerator = {
  path: 'docs/protocol/subjects.md',
  render: () => {
    const sections = (Object.keys(SUBJECTS) as SubjectName[]).flatMap(section);
    return `${[...HEAD, ...sections, ...PERMISSIONS_HEAD, ...ROLES.flatMap(permissions)].join('\n')}\n`;
  },
};

const CLUSTER = 'tepui';
const ROLES: readonly Role[] = ['master', 'agent', 'scheduler', 'executor', 'operator'];

const HEAD = [
  '# Subjects',
  '',
  'Generated from `protocol/subjects.ts` and `protocol/messages.ts` by `npm run docs`: change those.',
  '',
  'The first token is the name of the cluster, `tepui` unless `--cluster` says otherwise. The receiver comes first; the principal of the',
  'sender stands in the subject, so that the permissions of NATS are the authentication. The last token is the type of the message.',
];

function section(name: SubjectName): string[] {
  const row: SubjectRow = SUBJECTS[name];
  const types = Object.keys(MESSAGES[name]);
  return [
    '',
    `## \`${CLUSTER}.${row.template}.<TYPE>\``,
    '',
    row.purpose,
    '',
    `- from: ${party(row.sender, row.senderParameter)}`,
    `- to: ${party(row.receiver, row.receiverParameter)}`,
    `- types: ${types.length === 0 ? 'none yet' : types.map((type) => `\`${type}\``).join(', ')}`,
  ];
}

function party(role: string, parameter: string | undefined): string {
  return parameter === undefined ? role : `${role}, whose principal is \`{${parameter}}\``;
}

const PERMISSIONS_HEAD = [
  '',
  '## Who may do what',
  '',
  'What the user NAME may publish and subscribe in each role, as it stands in the configuration of the server.',
];

function permissions(role: Role): string[] {
  const { publish, subscribe } = permissionsOf(CLUSTER, role, 'NAME');
  const list = (what: string, subjects: readonly string[]): string[] => [
    '',
    `${what}:`,
    '',
    ...subjects.map((subject) => `- \`${subject}\``),
  ];
  return ['', `### ${role}`, ...list('publishes', publish), ...list('subscribes', subscribe)];
}
