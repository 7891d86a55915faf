//! The known name that a mistyped one may mean, pure.

/// Of `known` the name that is only a few letters away from `name`, or else the shortest one of which
/// `name` is the first part (`linger` of `linger.ms`), if there is one.
pub fn nearest_name<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters mistyped is no longer that name.
    let limit = (name.len() / 3).clamp(1, 6);
    let known: Vec<&str> = known.into_iter().collect();
    let near = known.iter().map(|known| (distance(name, known), *known));
    let nearest = near.filter(|(distance, _)| *distance <= limit).min();
    let begun = |known: &&&str| {
        known.strip_prefix(name).is_some_and(|rest| !name.is_empty() && rest.starts_with('.'))
    };
    let shortest = || known.iter().filter(begun).min_by_key(|known| known.len()).copied();
    nearest.map(|(_, name)| name).or_else(shortest)
}

/// Letters to insert, delete, replace or swap to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            let get = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
            let replace = get(&last, j) + usize::from(letter != other);
            let mut best = replace.min(get(&last, j + 1) + 1).min(get(&row, j) + 1);
            let before = |word: &[char], index: usize| {
                index.checked_sub(1).and_then(|before| word.get(before)).copied()
            };
            if before(&a, i) == Some(*other) && before(&b, j) == Some(*letter) {
                best = best.min(get(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_its_neighbour() {
        let known = ["linger.ms", "batch.size", "acks"];
        let near = |name| nearest_name(name, known);
        assert_eq!(near("linger.sm"), Some("linger.ms"));
        assert_eq!(near("lingerms"), Some("linger.ms"));
        assert_eq!(near("batch_size"), Some("batch.size"));
        assert_eq!(near("ack"), Some("acks"));
        assert_eq!(near("linger"), Some("linger.ms"), "without its unit");
        assert_eq!(near("something.else"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "acb"), 1, "a swap");
        assert_eq!(distance("abc", "axc"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
