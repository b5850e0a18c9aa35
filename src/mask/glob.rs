//! Matching names against `*` and `?`.

/// True if `name` matches `pattern`: `*` stands for any characters (dots included, so that a pattern never misses a name that
/// holds a dot itself), `?` for one. Time is at most the product of both lengths, and never recursive.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let name_before = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = name_before.clone();
                star = Some((pattern.clone(), name_before));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((behind, mut from)) = star else { return false };
                if from.next().is_none() {
                    return false;
                }
                pattern = behind.clone();
                name = from.clone();
                star = Some((behind, from));
            }
        }
    }
}
