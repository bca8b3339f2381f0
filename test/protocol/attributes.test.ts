import test from 'ava';
import {
  attributesError,
  formatAttributes,
  holdsConstraint,
  holdsConstraints,
  parseAttributes,
} from '../../protocol/attributes.js';
import type { AttributePredicate, AttributeSelector } from '../../protocol/offer.js';
import { ParseError } from '../../protocol/value-text.js';

test('RES-16: attributes are numbers, ranges or text, and a name may occur again', (t) => {
  const attributes = parseAttributes('rack:r12; zone:a;cores:8;ids:[1-3];url:http://x:80/;rack:r13');
  t.deepEqual(attributes.slice(0, 4), [
    { name: 'rack', type: 'TEXT', text: { value: 'r12' } },
    { name: 'zone', type: 'TEXT', text: { value: 'a' } },
    { name: 'cores', type: 'SCALAR', scalar: { value: 8 } },
    { name: 'ids', type: 'RANGES', ranges: { range: [{ begin: 1, end: 3 }] } },
  ]);
  t.is(formatAttributes(attributes), 'rack:r12;zone:a;cores:8;ids:[1-3];url:http://x:80/;rack:r13');
  t.is(attributesError(attributes), undefined);
  for (const text of ['rack', ':a', 'rack:', 'x:{a,b}', 'x:[3-1]', 'x:[1-'])
    t.throws(() => parseAttributes(text), { instanceOf: ParseError }, text);
});

test('RES-16: attributes that make no sense are refused by name', (t) => {
  t.regex(attributesError([{ name: '', type: 'TEXT', text: { value: '' } }]) ?? 'none', /no name/);
  t.regex(attributesError([{ name: 'a', type: 'SET', set: {} }]) ?? 'none', /'a' is a set/);
  t.regex(attributesError([{ name: 'a', type: 'TEXT' }]) ?? 'none', /'a' is TEXT but/);
  t.regex(
    attributesError([{ name: 'a', type: 'RANGES', ranges: { range: [{ begin: 2, end: 1 }] } }]) ?? 'none',
    /above/,
  );
});

test('RES-17: constraints look at host, region, zone and the first attribute of a name', (t) => {
  const facts = {
    hostname: 'h1',
    domain: { faultDomain: { region: { name: 'eu' }, zone: { name: 'z1' } } },
    attributes: parseAttributes('rack:r12;rack:r13;cores:8'),
  };
  const matches = (regex: string, text: string): boolean => new RegExp(`^(?:${regex})$`).test(text);
  const holds = (selector: AttributeSelector, predicate: AttributePredicate): boolean =>
    holdsConstraint(facts, { selector, predicate }, matches);
  const [rack, cores, none] = ['rack', 'cores', 'none'].map((attributeName) => ({ attributeName }));
  t.true(holds({ pseudoattributeType: 'HOSTNAME' }, { textEquals: { value: 'h1' } }));
  t.true(holds({ pseudoattributeType: 'REGION' }, { textMatches: { regex: 'e.' } }));
  t.false(holds({ pseudoattributeType: 'ZONE' }, { textNotEquals: { value: 'z1' } }));
  t.false(holds({ pseudoattributeType: 'UNKNOWN' }, { exists: {} }));
  t.true(holds(rack!, { textEquals: { value: 'r12' } }));
  t.false(holds(rack!, { textEquals: { value: 'r13' } }));
  t.true(holds(rack!, { exists: {} }) && holds(none!, { notExists: {} }));
  t.false(holds(rack!, { textNotMatches: { regex: 'r\\d+' } }));
  // A number is no text: every text predicate lets it pass.
  t.true(holds(cores!, { textEquals: { value: '9' } }) && holds(cores!, { textNotEquals: { value: '8' } }));
  // Where nothing is, nothing equals or matches.
  t.false(holds(none!, { textEquals: { value: '' } }) || holds(none!, { textMatches: { regex: '.*' } }));
  t.true(holds(none!, { textNotEquals: { value: '' } }) && holds(none!, { textNotMatches: { regex: '.*' } }));
  const group = (value: string) => ({
    attributeConstraints: [
      { selector: rack!, predicate: { exists: {} } },
      { selector: rack!, predicate: { textEquals: { value } } },
    ],
  });
  t.true(holdsConstraints(facts, { groups: [group('x'), group('r12')] }, matches));
  t.false(holdsConstraints(facts, { groups: [group('x'), group('y')] }, matches));
});
