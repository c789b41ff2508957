use serde::Serialize;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    /// The items in the list's order.
    pub(crate) items: Vec<T>,
    /// What to send as `after` for the next page; null on the last one.
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    /// A page of at most `limit` of `items`, which holds one item more than that when there is another page.
    pub(crate) fn of(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_names_the_last_item_only_when_more_follow() {
        let page = |count: u32| Page::of((0..count).collect(), 2, u32::to_string);
        assert_eq!(page(2), Page { items: vec![0, 1], next: None });
        assert_eq!(page(3), Page { items: vec![0, 1], next: Some("1".to_owned()) });
        assert_eq!(page(0), Page { items: vec![], next: None });
    }
}
