/** Attributes of agents: reading, printing, and the constraints that frameworks put on them. Source: Mesos' text form and offer constraints. Rules: RES-16, RES-17. */
import type { AgentInfo } from './agent.js';
import type { AttributeConstraint, AttributeSelector, RoleConstraints } from './offer.js';
import type { Attribute } from './resource.js';
import { overlapOf, formatItems, formatRanges, ParseError, parseValue, splitEntries } from './value-text.js';

/**
 * Reads `rack:r12;cores:8;ports:[1-3]`: numbers, ranges, else text. The value is all that follows the first colon; a name may occur again.
 *
 * @throws ParseError for an entry without a name or value, for a set, and for ranges that cannot be read.
 */
export function parseAttributes(text: string): Attribute[] {
  return splitEntries(text).map((entry) => {
    const colon = entry.indexOf(':');
    if (colon < 0) throw new ParseError(`'${entry}' is not of the form name:value`);
    const name = entry.slice(0, colon).trim();
    if (name === '') throw new ParseError(`'${entry}' has no name`);
    const value = parseValue(entry.slice(colon + 1));
    switch (value.type) {
      case 'SCALAR':
        return { name, type: 'SCALAR', scalar: { value: value.scalar } };
      case 'RANGES':
        return { name, type: 'RANGES', ranges: { range: value.ranges.slice() } };
      case 'SET':
        throw new ParseError(`'${entry}' is a set: an attribute is a number, [ranges] or text`);
      case 'TEXT':
        if (value.text === '') throw new ParseError(`'${entry}' has no value`);
        return { name, type: 'TEXT', text: { value: value.text } };
    }
  });
}

/** The value of an attribute as text: what a framework's constraint compares, and what is printed. */
export function attributeText({ scalar, ranges, set, text }: Attribute): string {
  if (text !== undefined) return text.value;
  if (scalar !== undefined) return String(scalar.value);
  if (ranges !== undefined) return formatRanges(ranges.range ?? []);
  return formatItems(set?.item ?? []);
}

/** `rack:r12;cores:8`, as `parseAttributes` reads it. */
export function formatAttributes(attributes: readonly Attribute[]): string {
  return attributes.map((attribute) => `${attribute.name}:${attributeText(attribute)}`).join(';');
}

/** The first thing that is wrong with `attributes`; `undefined` when all are sound. */
export function attributesError(attributes: readonly Attribute[]): string | undefined {
  for (const attribute of attributes) {
    const { name, type, scalar, ranges, text } = attribute;
    if (name === '') return 'an attribute has no name';
    if (type === 'SET') return `attribute '${name}' is a set`;
    const value = { SCALAR: scalar, RANGES: ranges, TEXT: text }[type];
    if (value === undefined) return `attribute '${name}' is ${type} but has no such value`;
    const range = ranges?.range ?? [];
    if (range.some(({ begin, end }) => begin > end)) return `attribute '${name}' has a range that begins above its end`;
    if (overlapOf(range) !== undefined) return `attribute '${name}' has overlapping ranges`;
  }
  return undefined;
}

/** Whether the whole of `text` matches the expression `regex`. The caller brings it, as Mesos means RE2 and bounds its cost. */
export type MatchesRegex = (regex: string, text: string) => boolean;

type Facts = Pick<AgentInfo, 'hostname' | 'domain' | 'attributes'>;

/** What `selector` finds on an agent: a text, an attribute, or nothing. Of several attributes of one name it is the first. */
export function selectFact(facts: Facts, selector: AttributeSelector): string | Attribute | undefined {
  switch (selector.pseudoattributeType) {
    case undefined:
      return facts.attributes?.find(({ name }) => name === selector.attributeName);
    case 'HOSTNAME':
      return facts.hostname;
    case 'REGION':
      return facts.domain?.faultDomain?.region.name;
    case 'ZONE':
      return facts.domain?.faultDomain?.zone.name;
    case 'UNKNOWN':
      return undefined;
  }
}

/**
 * Whether an agent satisfies `constraint`. The text predicates hold for every attribute that is not text, which leaves it to the framework to
 * look at the offer; where the attribute is missing the positive ones do not hold and the negative ones do.
 */
export function holdsConstraint(facts: Facts, constraint: AttributeConstraint, matches: MatchesRegex): boolean {
  const { exists, notExists, textEquals, textNotEquals, textMatches, textNotMatches } = constraint.predicate;
  const fact = selectFact(facts, constraint.selector);
  if (exists !== undefined) return fact !== undefined;
  if (notExists !== undefined) return fact === undefined;
  if (fact === undefined) return textNotEquals !== undefined || textNotMatches !== undefined;
  if (typeof fact !== 'string' && fact.type !== 'TEXT') return true;
  const text = typeof fact === 'string' ? fact : (fact.text?.value ?? '');
  if (textEquals !== undefined) return text === textEquals.value;
  if (textNotEquals !== undefined) return text !== textNotEquals.value;
  if (textMatches !== undefined) return matches(textMatches.regex, text);
  if (textNotMatches !== undefined) return !matches(textNotMatches.regex, text);
  return false;
}

/** Whether an agent satisfies all constraints of some group. */
export function holdsConstraints(facts: Facts, { groups }: RoleConstraints, matches: MatchesRegex): boolean {
  return groups.some(({ attributeConstraints }) =>
    attributeConstraints.every((constraint) => holdsConstraint(facts, constraint, matches)),
  );
}
