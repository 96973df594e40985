pub fn render(_dir: &std::path::Path, _into: Option<&std::path::Path>) -> crate::error::Result<()> {
    Ok(())
}
pub fn compare(_dir: &std::path::Path) -> crate::error::Result<()> {
    Ok(())
}
