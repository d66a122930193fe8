//! Expected text lies in `golden/<case>/`. `UPDATE_EXPECT=1 cargo test` rewrites it; read the difference before a commit.

/// Compares a text with `golden/<name>`.
#[track_caller]
pub fn golden(name: &str, actual: &str) {
    expect_test::ExpectFile { path: crate::prefab::root().join("golden").join(name), position: "golden" }
        .assert_eq(actual);
}
