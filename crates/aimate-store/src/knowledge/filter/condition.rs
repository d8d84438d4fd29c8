//! Filters as conditions on the attributes of segments: sets of documents, by their numbers
//! in a segment. Their meaning is [`Filter::matches`].

use std::collections::{HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use aimate_core::Result;
use aimate_core::knowledge::{Filter, FilterField, FilterSubject};
use aimate_index::segment::attributes::{Field, KeyRange, Scalar};
use aimate_index::{DocIdSet, SegmentHeader};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::value::text;

/// A condition on documents.
pub(in crate::knowledge) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Attribute(AttributeCondition),
    Id(IdCondition),
}

/// A document has an attribute.
#[derive(Default)]
pub(in crate::knowledge) struct AttributeCondition {
    /// One in these, which are in order and apart.
    ranges: Vec<KeyRange>,
    /// Or a text that contains this.
    containing: Option<(KeyRange, String)>,
    /// Where a segment has one in these, its attributes do not tell which documents pass.
    untold: Vec<KeyRange>,
}

/// A condition on the ids of documents, which are no attributes.
pub(in crate::knowledge) enum IdCondition {
    OneOf(HashSet<Uuid>),
    Other(Filter),
}

/// Blocks of a segment by their first terms.
pub(in crate::knowledge) type BlocksByTerm = HashMap<Arc<[u8]>, Arc<[u8]>>;

/// What a condition looks at in one segment.
pub(in crate::knowledge) struct SegmentAttributes {
    pub(in crate::knowledge) header: Arc<SegmentHeader>,
    pub(in crate::knowledge) first_terms: Arc<[Arc<[u8]>]>,
    /// Those that the condition [needs](Condition::blocks).
    pub(in crate::knowledge) blocks: BlocksByTerm,
}

impl Condition {
    /// The condition that is `filter`.
    pub(in crate::knowledge) fn of(filter: &Filter) -> Result<Self> {
        let all = |filters: &[Filter]| filters.iter().map(Self::of).collect::<Result<Vec<_>>>();
        let (field, leaf) = match filter {
            Filter::And(filters) => return Ok(Self::All(all(filters)?)),
            Filter::Or(filters) => return Ok(Self::Any(all(filters)?)),
            Filter::Not(one) => return Ok(Self::Not(Box::new(Self::of(one)?))),
            Filter::Eq { field, .. }
            | Filter::In { field, .. }
            | Filter::Range { field, .. }
            | Filter::Contains { field, .. }
            | Filter::Exists { field } => (Filter::field(field)?, filter),
        };
        let Some(field) = field_of(&field) else { return Ok(Self::Id(IdCondition::of(leaf))) };
        let attribute = match leaf {
            Filter::Eq { value, .. } => AttributeCondition::one_of(&field, std::slice::from_ref(value)),
            Filter::In { values, .. } => AttributeCondition::one_of(&field, values),
            Filter::Range { gt, gte, lt, lte, .. } => AttributeCondition::between(&field, [gt, gte, lt, lte]),
            Filter::Contains { value, .. } => AttributeCondition::containing(&field, value),
            _ => {
                AttributeCondition { ranges: vec![KeyRange::exists(&field)], ..AttributeCondition::default() }
            }
        };
        Ok(Self::Attribute(attribute))
    }

    /// The places of the blocks that are needed of a segment whose blocks begin with these.
    pub(in crate::knowledge) fn blocks(&self, first_terms: &[Arc<[u8]>], places: &mut Vec<usize>) {
        match self {
            Self::All(all) | Self::Any(all) => all.iter().for_each(|one| one.blocks(first_terms, places)),
            Self::Not(one) => one.blocks(first_terms, places),
            Self::Attribute(attribute) => {
                places.extend(attribute.all_ranges().flat_map(|range| range.blocks(first_terms)));
            }
            Self::Id(_) => {}
        }
    }

    /// The documents of the segment that pass; `None` if its attributes do not tell.
    pub(in crate::knowledge) fn documents(&self, segment: &SegmentAttributes) -> Result<Option<DocIdSet>> {
        let count = segment.header.document_count();
        let set = match self {
            Self::All(all) => {
                let mut set = DocIdSet::full(count);
                for one in all {
                    let Some(other) = one.documents(segment)? else { return Ok(None) };
                    set.intersect(&other);
                }
                set
            }
            Self::Any(any) => {
                let mut set = DocIdSet::empty(count);
                for one in any {
                    let Some(other) = one.documents(segment)? else { return Ok(None) };
                    set.union(&other);
                }
                set
            }
            Self::Not(one) => {
                let Some(mut set) = one.documents(segment)? else { return Ok(None) };
                set.invert(count);
                set
            }
            Self::Attribute(attribute) => return attribute.documents(segment),
            Self::Id(ids) => {
                let documents = &segment.header.documents;
                DocIdSet::filled(count, |number| {
                    documents.get(number as usize).is_some_and(|id| ids.holds(*id))
                })
            }
        };
        Ok(Some(set))
    }
}

impl AttributeCondition {
    fn one_of(field: &Field, values: &[Value]) -> Self {
        let mut condition = Self::default();
        for value in values {
            condition.add_equal(field, value, false);
        }
        KeyRange::sort(&mut condition.ranges);
        condition
    }

    fn between(field: &Field, [gt, gte, lt, lte]: [&Option<Value>; 4]) -> Self {
        let bounds: Vec<&Value> = [gt, gte, lt, lte].into_iter().flatten().collect();
        let mut condition = Self::default();
        if let Some(numbers) = bounds.iter().map(|bound| bound.as_f64()).collect::<Option<Vec<f64>>>() {
            let (low, high) = {
                // Both zeros are one.
                let number = |bound: &Value| bound.as_f64().map(|number| number + 0.0);
                tightest(gt, gte, lt, lte, number, f64::total_cmp)
            };
            if !numbers.is_empty() {
                condition.ranges.push(KeyRange::numbers(field, low, high));
            }
        } else if bounds.iter().all(|bound| bound.is_string()) {
            let texts = [gt, gte, lt, lte].map(|bound| bound.as_ref().and_then(Value::as_str).map(text));
            let [gt, gte, lt, lte] = &texts;
            let (low, high) = tightest(gt, gte, lt, lte, |text| Some(text.as_ref()), Ord::cmp);
            let (whole, long) = KeyRange::between_texts(field, low, high);
            condition.ranges.push(whole);
            match long {
                Some(long) => condition.ranges.push(long),
                None => condition.untold.push(KeyRange::long(field, false)),
            }
        }
        condition
    }

    fn containing(field: &Field, value: &Value) -> Self {
        let mut condition = Self::default();
        condition.add_equal(field, value, true);
        if let Value::String(part) = value {
            condition.containing = Some((KeyRange::texts(field), text(part).into_owned()));
            condition.untold.push(KeyRange::long(field, false));
        }
        condition
    }

    /// Adds what is equal to `value`; nothing is equal to null, a list or an object.
    fn add_equal(&mut self, field: &Field, value: &Value, in_list: bool) {
        let own;
        let value = match value {
            Value::Bool(flag) => Scalar::Bool(*flag),
            Value::Number(number) => match number.as_f64() {
                Some(number) => Scalar::Number(number),
                None => return,
            },
            Value::String(string) => {
                own = text(string);
                Scalar::Text(&own)
            }
            Value::Null | Value::Array(_) | Value::Object(_) => return,
        };
        match KeyRange::equal(field, value, in_list) {
            Some(range) => self.ranges.push(range),
            None => self.untold.push(KeyRange::long(field, in_list)),
        }
    }

    fn all_ranges(&self) -> impl Iterator<Item = &KeyRange> {
        let containing = self.containing.iter().map(|(range, _)| range);
        self.ranges.iter().chain(containing).chain(&self.untold)
    }

    fn documents(&self, segment: &SegmentAttributes) -> Result<Option<DocIdSet>> {
        let count = segment.header.document_count();
        let mut untold = false;
        for range in &self.untold {
            for block in segment.blocks_of(std::slice::from_ref(range)) {
                range.each(block, |_, _| {
                    untold = true;
                    Ok(())
                })?;
            }
        }
        if untold {
            return Ok(None);
        }
        let mut set = DocIdSet::empty(count);
        for block in segment.blocks_of(&self.ranges) {
            KeyRange::each_of(&self.ranges, block, |_, numbers| numbers.add_to(&mut set, count))?;
        }
        if let Some((range, part)) = &self.containing {
            for block in segment.blocks_of(std::slice::from_ref(range)) {
                range.each(block, |text, numbers| {
                    let contains = str::from_utf8(text).is_ok_and(|text| text.contains(part.as_str()));
                    if contains { numbers.add_to(&mut set, count) } else { Ok(()) }
                })?;
            }
        }
        Ok(Some(set))
    }
}

impl IdCondition {
    fn of(filter: &Filter) -> Self {
        let values = match filter {
            Filter::Eq { value, .. } => std::slice::from_ref(value),
            Filter::In { values, .. } => values,
            _ => return Self::Other(filter.clone()),
        };
        let id = |value: &Value| {
            let text = value.as_str()?;
            // In another form it is another text.
            text.parse::<Uuid>().ok().filter(|id| id.to_string() == text)
        };
        Self::OneOf(values.iter().filter_map(id).collect())
    }

    fn holds(&self, id: Uuid) -> bool {
        match self {
            Self::OneOf(ids) => ids.contains(&id),
            Self::Other(filter) => filter.matches(&FilterSubject {
                metadata: &Map::new(),
                id: &id.to_string(),
                name: "",
                title: "",
                source: None,
                media_type: "",
            }),
        }
    }
}

impl SegmentAttributes {
    /// The blocks that have keys of these ranges.
    fn blocks_of(&self, ranges: &[KeyRange]) -> impl Iterator<Item = &Arc<[u8]>> {
        let mut places: Vec<usize> =
            ranges.iter().flat_map(|range| range.blocks(&self.first_terms)).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| self.blocks.get(self.first_terms.get(place)?))
    }
}

/// The field, unless it is the id.
fn field_of(field: &FilterField<'_>) -> Option<Field> {
    match field {
        FilterField::Own("id") => None,
        FilterField::Own(name) => Some(Field::own(name)),
        FilterField::Metadata(keys) => {
            let (first, rest) = keys.split_first()?;
            rest.iter().try_fold(Field::of_key(first)?, |field, key| field.nested(key))
        }
    }
}

/// The bounds of which others follow.
fn tightest<'a, V, T: Copy + 'a>(
    gt: &'a Option<V>,
    gte: &'a Option<V>,
    lt: &'a Option<V>,
    lte: &'a Option<V>,
    value: impl Fn(&'a V) -> Option<T>,
    compare: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> (Bound<T>, Bound<T>) {
    let of = |open: &'a Option<V>, closed: &'a Option<V>, is_low: bool| {
        let (open, closed) = (open.as_ref().and_then(&value), closed.as_ref().and_then(&value));
        match (open, closed) {
            (Some(open), Some(closed)) => {
                let order = compare(&open, &closed);
                let is_tighter = if is_low { order.is_ge() } else { order.is_le() };
                if is_tighter { Bound::Excluded(open) } else { Bound::Included(closed) }
            }
            (Some(open), None) => Bound::Excluded(open),
            (None, Some(closed)) => Bound::Included(closed),
            (None, None) => Bound::Unbounded,
        }
    };
    (of(gt, gte, true), of(lt, lte, false))
}
