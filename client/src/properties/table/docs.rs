//! The table in `docs/client.md`, made from the rows. The test at the foot keeps the two equal.

use std::fmt::Write as _;

use super::{Take, rows};

/// All properties as tables in Markdown: what each belongs to, takes and does.
#[must_use]
pub fn markdown() -> String {
    let mut page = "| property | of | takes | what it does |\n|---|---|---|---|\n".to_owned();
    let (mut ignored, mut refused) = (Vec::new(), Vec::new());
    for row in rows() {
        let name = format!("`{}`", row.name);
        match row.take {
            Take::Ignored(_) => ignored.push(name),
            Take::Refused(_) => refused.push(name),
            _ => {
                let (of, takes) =
                    (row.of.plural(), row.allowed().replace(" to 2147483647", " or more"));
                let _ = writeln!(page, "| {name} | {of} | {takes} | {} |", row.doc);
            }
        }
    }
    let _ = write!(
        page,
        "\nTaken with a warning, as they have no effect here: {}.\n\nRefused, as leaving them out would do harm: {}.\n",
        ignored.join(", "),
        refused.join(", ")
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- made by `UPDATE_DOCS=1 cargo test -p duramen-client docs` -->\n";
    const END: &str = "<!-- end -->\n";

    #[test]
    fn docs_client_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/client.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(BEGIN).expect("the first mark");
        let (written, after) = rest.split_once(END).expect("the last mark");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let page = [before, BEGIN, &markdown(), END, after].concat();
            #[expect(clippy::disallowed_methods, reason = "a page of this repository, not data")]
            std::fs::write(path, page).unwrap();
            return;
        }
        assert!(
            written == markdown(),
            "run `UPDATE_DOCS=1 cargo test -p duramen-client docs` to bring {path} up to date"
        );
    }
}
