//! Schemas that are made of others, as one object.
//!
//! A type that takes the fields of another one in (`serde(flatten)`) is documented as both
//! at once (`allOf`). Where one of them refuses fields that it does not know, nothing is
//! both: it refuses those of the other.

use std::collections::BTreeMap;

use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{Components, Object, RefOr, Schema};

/// Makes one object of each schema that is several at once.
pub(crate) fn merge(components: &mut Components) {
    let known = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::AllOf(parts)) = schema else { continue };
        let Some(mut whole) = merged(&parts.items, &known) else { continue };
        whole.description = parts.description.take().or(whole.description);
        *schema = RefOr::T(Schema::Object(whole));
    }
}

/// One object with the fields of all parts; `None` if one of them is no object. It is as
/// closed to further fields as the most closed of them.
fn merged(parts: &[RefOr<Schema>], known: &BTreeMap<String, RefOr<Schema>>) -> Option<Object> {
    let mut whole = Object::new();
    for part in parts {
        let part = match part {
            RefOr::Ref(reference) => known.get(reference.ref_location.rsplit('/').next()?)?,
            schema @ RefOr::T(_) => schema,
        };
        let part = match part {
            RefOr::T(Schema::Object(object)) => object.clone(),
            RefOr::T(Schema::AllOf(parts)) => merged(&parts.items, known)?,
            _ => return None,
        };
        whole.properties.extend(part.properties);
        whole.required.extend(part.required);
        whole.description = part.description.or(whole.description);
        if part.additional_properties.as_deref() == Some(&AdditionalProperties::FreeForm(false)) {
            whole.additional_properties = part.additional_properties;
        }
    }
    Some(whole)
}
