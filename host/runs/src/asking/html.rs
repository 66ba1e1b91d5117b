//! The title of an HTML page, and where it sends its reader.

/// The text between `<title>` and `</title>`.
pub(super) fn title(page: &[u8]) -> Option<&[u8]> {
    let (_, rest) = tag(page, b"<title")?;
    let end = find(rest, b"<").unwrap_or(rest.len());
    rest.get(..end)
}

/// The URL of a `<meta http-equiv="refresh" content="0; URL=…">`.
pub(super) fn refresh(page: &[u8]) -> Option<&[u8]> {
    let mut rest = page;
    while let Some((attributes, after)) = tag(rest, b"<meta") {
        rest = after;
        if find(attributes, b"refresh").is_some()
            && let Some(at) = find(attributes, b"url=")
        {
            let url = attributes.get(at + 4..)?;
            let quotes = |byte: &u8| matches!(byte, b'"' | b'\'' | b' ');
            let start = url.iter().position(|byte| !quotes(byte))?;
            let url = url.get(start..)?;
            let end = url.iter().position(quotes).unwrap_or(url.len());
            return url.get(..end);
        }
    }
    None
}

/// The attributes of the first tag that begins like this, and what comes after it.
fn tag<'a>(page: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let rest = page.get(find(page, name)? + name.len()..)?;
    let end = rest.iter().position(|byte| *byte == b'>')?;
    Some((rest.get(..end)?, rest.get(end + 1..)?))
}

/// Where `what`, in lower case, is found, whatever the case there.
pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len())
        .position(|part| part.eq_ignore_ascii_case(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_title_and_leads_on() {
        let page: &[u8] = b"<HTML><head><Title lang=en>LuCI\n</title>\
            <META charset=x><meta http-equiv=\"refresh\" content=\"0; URL=cgi-bin/luci/\" />";
        assert_eq!(title(page), Some(&b"LuCI\n"[..]));
        assert_eq!(refresh(page), Some(&b"cgi-bin/luci/"[..]));
        let quoted = b"<meta http-equiv=refresh content=\"5;url='/a b'\">";
        assert_eq!(refresh(quoted), Some(&b"/a"[..]));
    }

    #[test]
    fn a_page_that_is_cut_off_or_none_has_neither() {
        for page in [
            "",
            "<title",
            "<title>",
            "<meta refresh url=",
            "<meta",
            "no page",
        ] {
            let none = title(page.as_bytes()).is_none_or(<[u8]>::is_empty);
            assert!(none && refresh(page.as_bytes()).is_none(), "{page}");
        }
    }
}
