//! The queries of responses. `include[]` may come several times, which is why they are read
//! here and not by serde.

use aimate_core::Error;
use utoipa::IntoParams;

use super::word::one_of;
use crate::error::Result;
use crate::openai::cursor_list::ListOrder;
use crate::openai::include;

/// Items of a page where the caller does not say, and at most.
const LIMITS: (usize, usize) = (20, 100);

/// How a response is read. Other fields are passed over.
#[derive(Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetrieveQuery {
    /// Whether its events are sent.
    #[param(required = false)]
    pub(super) stream: bool,
    /// The number of the last event that is known.
    pub(super) starting_after: Option<u64>,
    /// What is included beside the answer.
    #[param(rename = "include[]", required = false)]
    pub(super) include: Vec<String>,
}

/// Which items are listed. Other fields are passed over.
#[derive(Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct InputItemQuery {
    /// Items at most, 1 to 100; default 20.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// `asc` or `desc`, the default: newest first.
    order: Option<String>,
    /// The id of an item: what follows it is listed.
    after: Option<String>,
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned()
}

impl RetrieveQuery {
    pub(super) fn read(query: Option<&str>) -> Result<Self> {
        let mut read = Self::default();
        for (name, value) in pairs(query) {
            match name.as_str() {
                "stream" => {
                    read.stream = match value.to_ascii_lowercase().as_str() {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(Error::field("stream", "must be `true` or `false`").into()),
                    };
                }
                "starting_after" => {
                    let number = value.parse();
                    let number = number
                        .map_err(|_| Error::field("starting_after", "must be the number of an event"))?;
                    read.starting_after = Some(number);
                }
                "include" | "include[]" => read.include.push(value),
                _ => {}
            }
        }
        read.include = include::read(read.include)?;
        Ok(read)
    }
}

impl InputItemQuery {
    pub(super) fn read(query: Option<&str>) -> Result<Self> {
        let mut read = Self::default();
        for (name, value) in pairs(query) {
            match name.as_str() {
                "limit" => {
                    let (_, most) = LIMITS;
                    let limit = value.parse().ok().filter(|limit| (1..=most).contains(limit));
                    let why = format!("must be 1 to {most}");
                    read.limit = Some(limit.ok_or_else(|| Error::field("limit", why))?);
                }
                "order" => {
                    one_of("order", Some(&value), &["asc", "desc"])?;
                    read.order = Some(value);
                }
                "after" => read.after = Some(value),
                "include" | "include[]" => drop(include::read(vec![value])?),
                _ => {}
            }
        }
        Ok(read)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(LIMITS.0)
    }

    pub(super) fn order(&self) -> ListOrder {
        if self.order.as_deref() == Some("asc") { ListOrder::Asc } else { ListOrder::Desc }
    }

    pub(super) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_named() {
        let wrong = |query: &str| match InputItemQuery::read(Some(query)) {
            Err(failure) => failure.error.fields()[0].path.clone(),
            Ok(_) => panic!("{query}"),
        };
        assert_eq!(wrong("limit=0"), "limit");
        assert_eq!(wrong("limit=101"), "limit");
        assert_eq!(wrong("order=up"), "order");
        assert_eq!(wrong("include[]=all"), "include[0]");
        assert!(RetrieveQuery::read(Some("stream=maybe")).is_err());
        assert!(RetrieveQuery::read(Some("starting_after=-1")).is_err());
        let read = RetrieveQuery::read(Some("stream=true&starting_after=3")).unwrap();
        assert_eq!((read.stream, read.starting_after), (true, Some(3)));
    }
}
