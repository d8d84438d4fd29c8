use aimate_core::knowledge::{Filter, FilterSubject};
use aimate_core::testing::property::{filter, metadata};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn passes(filter: &Filter, metadata: &Map<String, Value>) -> bool {
    filter.matches(&FilterSubject {
        metadata,
        id: "0190a0b0-0000-7000-8000-000000000001",
        name: "ax",
        title: "title",
        source: None,
        media_type: "text/markdown",
    })
}

/// A range of this one bound.
fn range(field: &str, bound: &Value, set: fn(&mut Bounds, Value)) -> Filter {
    let mut bounds = Bounds::default();
    set(&mut bounds, bound.clone());
    let Bounds { gt, gte, lt, lte } = bounds;
    Filter::Range { field: field.to_owned(), gt, gte, lt, lte }
}

#[derive(Default)]
struct Bounds {
    gt: Option<Value>,
    gte: Option<Value>,
    lt: Option<Value>,
    lte: Option<Value>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn filter_reads_back_from_its_json(filter in filter()) {
        let text = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
    }

    #[test]
    fn and_or_and_not_are_those_of_logic(one in filter(), other in filter(), metadata in metadata()) {
        let (a, b) = (passes(&one, &metadata), passes(&other, &metadata));
        let both = Filter::And(vec![one.clone(), other.clone()]);
        let either = Filter::Or(vec![one.clone(), other]);
        prop_assert_eq!(passes(&both, &metadata), a && b);
        prop_assert_eq!(passes(&either, &metadata), a || b);
        prop_assert_eq!(passes(&Filter::Not(Box::new(one)), &metadata), !a);
    }

    #[test]
    fn one_of_several_values_is_any_of_them(filter in filter(), metadata in metadata()) {
        if let Filter::In { field, values } = &filter {
            let each = values.iter().map(|value| Filter::Eq { field: field.clone(), value: value.clone() });
            prop_assert_eq!(passes(&filter, &metadata), passes(&Filter::Or(each.collect()), &metadata));
        }
    }

    #[test]
    fn bounds_part_the_values_of_their_type(filter in filter(), metadata in metadata()) {
        if let Filter::Eq { field, value } = &filter
            && !value.is_boolean()
        {
            let below = passes(&range(field, value, |b, v| b.lt = Some(v)), &metadata);
            let equal = passes(&filter, &metadata);
            let above = passes(&range(field, value, |b, v| b.gt = Some(v)), &metadata);
            prop_assert!(u8::from(below) + u8::from(equal) + u8::from(above) <= 1);
            prop_assert_eq!(passes(&range(field, value, |b, v| b.lte = Some(v)), &metadata), below || equal);
            prop_assert_eq!(passes(&range(field, value, |b, v| b.gte = Some(v)), &metadata), above || equal);
        }
    }

    #[test]
    fn field_that_is_not_there_passes_no_condition(filter in filter(), metadata in metadata()) {
        let field = match &filter {
            Filter::Eq { field, .. } | Filter::In { field, .. } | Filter::Range { field, .. }
            | Filter::Contains { field, .. } => field,
            Filter::And(_) | Filter::Or(_) | Filter::Not(_) | Filter::Exists { .. } => return Ok(()),
        };
        if !passes(&Filter::Exists { field: field.clone() }, &metadata) {
            prop_assert!(!passes(&filter, &metadata));
        }
    }
}
