//! What is asked of the page in its address, and the addresses of other views of it. Pure.

use std::borrow::Cow;

use clap::ValueEnum as _;
use form_urlencoded::{Serializer, parse};

use crate::status::Column;

/// Where the page is.
pub(super) const PATH: &str = "/page";
/// Seconds between two loads of a page that loads itself.
const REFRESH: std::ops::RangeInclusive<u8> = 2..=60;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// Only rows with this text in them, in any case.
    pub(super) filter: String,
    pub(super) sort: Column,
    /// From 1.
    pub(super) page: usize,
    /// The one Service to be shown, as `namespace/name`.
    pub(super) service: Option<String>,
    /// Seconds until the page loads itself again.
    pub(super) refresh: Option<u8>,
}

impl Default for Query {
    fn default() -> Self {
        let filter = String::new();
        Self { filter, sort: Column::Service, page: 1, service: None, refresh: None }
    }
}

impl Query {
    /// From what follows the question mark. What means nothing is as if it were not there: the page
    /// shows what it took.
    pub(super) fn read(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in parse(text.as_bytes()) {
            match &*name {
                "q" => value.trim().clone_into(&mut query.filter),
                "sort" => query.sort = column(&value).unwrap_or(query.sort),
                "page" => query.page = value.parse().ok().filter(|page| *page > 0).unwrap_or(1),
                "service" => query.service = Some(value.into_owned()).filter(|it| !it.is_empty()),
                "refresh" => {
                    query.refresh = value.parse().ok().filter(|it| REFRESH.contains(it));
                }
                _ => {}
            }
        }
        query
    }

    /// The address of this view.
    pub(super) fn address(&self) -> String {
        let mut pairs = Serializer::new(String::new());
        for (name, value) in self.pairs() {
            pairs.append_pair(name, &value);
        }
        match pairs.finish() {
            query if query.is_empty() => PATH.to_owned(),
            query => format!("{PATH}?{query}"),
        }
    }

    /// What differs from the plain page.
    pub(super) fn pairs(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let plain = Self::default();
        let mut pairs: Vec<(_, Cow<'_, str>)> = Vec::new();
        if let Some(service) = &self.service {
            pairs.push(("service", service.into()));
        }
        if self.filter != plain.filter {
            pairs.push(("q", (&self.filter).into()));
        }
        if self.sort != plain.sort {
            pairs.push(("sort", name(self.sort).into()));
        }
        if self.page != plain.page {
            pairs.push(("page", self.page.to_string().into()));
        }
        if let Some(seconds) = self.refresh {
            pairs.push(("refresh", seconds.to_string().into()));
        }
        pairs
    }
}

/// What a column is called in an address.
pub(super) fn name(column: Column) -> String {
    let value = column.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn column(name: &str) -> Option<Column> {
    Column::from_str(name, true).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Query, address: &str) {
        let query = Query::read(text);
        assert_eq!((query.address().as_str(), &query), (address, &expected), "{text}");
        assert_eq!(Query::read(address.split_once('?').unwrap_or_default().1), query);
    }

    #[test]
    fn a_view_has_an_address() {
        let plain = Query::default;
        check("", plain(), "/page");
        check("q=++&sort=nonsense&page=0&refresh=1&x=y", plain(), "/page");
        check("q=a+b%26c&page=-1", Query { filter: "a b&c".into(), ..plain() }, "/page?q=a+b%26c");
        check(
            "sort=rate&page=3&refresh=5",
            Query { sort: Column::Rate, page: 3, refresh: Some(5), ..plain() },
            "/page?sort=rate&page=3&refresh=5",
        );
        let service = Some("a/b".to_owned());
        check("service=a/b", Query { service, ..plain() }, "/page?service=a%2Fb");
    }
}
