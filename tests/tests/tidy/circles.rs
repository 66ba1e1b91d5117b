//! Circles in a graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The edges that lie on a circle of `least` places or more, each with a shortest such circle.
/// `least` is 2 or 3.
pub fn circles(
    edges: &BTreeSet<(String, String)>,
    least: usize,
) -> BTreeMap<(String, String), String> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    let circle = |(from, to): &(String, String)| {
        // The way back at once makes a circle of two.
        let back = way(&next, to, from, least > 2)?;
        Some(format!("{from}→{}", back.join("→")))
    };
    edges
        .iter()
        .filter_map(|edge| Some((edge.clone(), circle(edge)?)))
        .collect()
}

/// A shortest way between two places, both included.
fn way<'a>(
    next: &BTreeMap<&'a str, Vec<&'a str>>,
    from: &'a str,
    to: &'a str,
    not_at_once: bool,
) -> Option<Vec<&'a str>> {
    let mut before = BTreeMap::from([(from, from)]);
    let mut waiting = VecDeque::from([from]);
    while let Some(place) = waiting.pop_front() {
        for then in next.get(place).into_iter().flatten().copied() {
            if before.contains_key(then) || (not_at_once && place == from && then == to) {
                continue;
            }
            before.insert(then, place);
            waiting.push_back(then);
        }
    }
    let mut way = vec![to];
    let mut place = *before.get(to)?;
    while place != from {
        way.push(place);
        place = before[place];
    }
    way.push(from);
    way.reverse();
    Some(way)
}

#[cfg(test)]
fn graph(edges: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    let edge = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
    edges.iter().map(edge).collect()
}

#[test]
fn a_circle_of_three_is_found_with_its_way() {
    let found = circles(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]), 3);
    assert_eq!(found.len(), 3);
    assert_eq!(found[&("a".to_owned(), "b".to_owned())], "a→b→c→a");
}

#[test]
fn pairs_that_share_a_place_are_no_circle_of_three() {
    let star = graph(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"), ("c", "d")]);
    assert!(circles(&star, 3).is_empty());
    let pairs = circles(&star, 2);
    assert_eq!(pairs.len(), 4);
    assert_eq!(pairs[&("a".to_owned(), "b".to_owned())], "a→b→a");
}
