use super::screen::Screen;

/// What a server sends, from its first byte on, however it is cut: the first byte says how.
pub(in crate::pg) fn messages(bytes: &[u8]) {
    let Some((&size, stream)) = bytes.split_first() else { return };
    let ends = |size: usize| {
        let mut screen = Screen::default();
        stream.chunks(size).any(|part| screen.look(part).is_err())
    };
    assert_eq!(ends(usize::from(size).max(1)), ends(stream.len().max(1)), "where the bytes are cut matters");
}
