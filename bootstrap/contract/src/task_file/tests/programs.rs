use proptest::prelude::*;

use super::{one_command, texts};

#[test]
fn a_reference_becomes_one_word_of_the_environment() {
    for (command, rewritten) in [
        ("echo {{V}}", r#"echo "${PREFAB_VAR_V}""#),
        ("echo a{{V}}b{{V}}", r#"echo a"${PREFAB_VAR_V}"b"${PREFAB_VAR_V}""#),
        (r#"echo "a {{V}}""#, r#"echo "a ${PREFAB_VAR_V}""#),
        ("echo $(cat {{V}})", r#"echo $(cat "${PREFAB_VAR_V}")"#),
        (r#"echo "$(cat {{V}} "{{V}}")""#, r#"echo "$(cat "${PREFAB_VAR_V}" "${PREFAB_VAR_V}")""#),
        ("cat <<E\n\"{{V}}\"\nE\necho {{V}}", "cat <<E\n\"${PREFAB_VAR_V}\"\nE\necho \"${PREFAB_VAR_V}\""),
        ("cat <<-E x\n\t$(echo {{V}})\n\tE", "cat <<-E x\n\t$(echo \"${PREFAB_VAR_V}\")\n\tE"),
        ("echo ${x:-{{V}}} \"${x-{{V}}}\"", r#"echo ${x:-"${PREFAB_VAR_V}"} "${x-${PREFAB_VAR_V}}""#),
        ("{{V}}/bin/python -m x", r#""${PREFAB_VAR_V}"/bin/python -m x"#),
        ("cat <<<{{V}} >{{V}} 2>{{V}}", r#"cat <<<"${PREFAB_VAR_V}" >"${PREFAB_VAR_V}" 2>"${PREFAB_VAR_V}""#),
        ("X={{V}} Y=\"{{V}}\" env", r#"X="${PREFAB_VAR_V}" Y="${PREFAB_VAR_V}" env"#),
        ("export X={{V}}; a=({{V}} b)", r#"export X="${PREFAB_VAR_V}"; a=("${PREFAB_VAR_V}" b)"#),
        ("[ {{V}} -eq 1 ] && [[ {{V}} == a* ]]", r#"[ "${PREFAB_VAR_V}" -eq 1 ] && [[ "${PREFAB_VAR_V}" == a* ]]"#),
        ("diff <(echo {{V}}) x", r#"diff <(echo "${PREFAB_VAR_V}") x"#),
        (
            "case {{V}} in {{V}}) echo {{V}};; b|c) ;; esac; echo {{V}}",
            r#"case "${PREFAB_VAR_V}" in "${PREFAB_VAR_V}") echo "${PREFAB_VAR_V}";; b|c) ;; esac; echo "${PREFAB_VAR_V}""#,
        ),
        ("x=$(case a in a) echo b;; esac); echo {{V}}", r#"x=$(case a in a) echo b;; esac); echo "${PREFAB_VAR_V}""#),
        ("echo '{{.Names}}' # it's {{ok}}\necho {{V}}", "echo '{{.Names}}' # it's {{ok}}\necho \"${PREFAB_VAR_V}\""),
        ("echo \"\\\\{{V}}\" $${{V}}", "echo \"\\\\${PREFAB_VAR_V}\" $$\"${PREFAB_VAR_V}\""),
        ("bash -c 'echo \"$1\"' _ {{V}}", r#"bash -c 'echo "$1"' _ "${PREFAB_VAR_V}""#),
        ("docker run -e {{V}}=x", r#"docker run -e "${PREFAB_VAR_V}"=x"#),
    ] {
        let bound = one_command(command, &[("V", "x")]);
        assert_eq!(
            bound.unwrap_or_else(|findings| panic!("{command}: {:?}", texts(&findings))).tasks[0].commands[0].text,
            rewritten
        );
    }
}

#[test]
fn where_a_value_would_be_lost_or_run_it_is_refused() {
    for (command, place, part) in [
        ("echo '{{V}}'", "1:7", "single quotes"),
        ("echo $'{{V}}'", "1:8", "$'…'"),
        ("echo `cat {{V}}`", "1:11", "backticks"),
        ("echo \"`cat {{V}}`\"", "1:12", "backticks"),
        ("cat <<'E'\na {{V}}\nE", "2:3", "quoted delimiter"),
        ("cat <<\\E\n{{V}}\nE", "2:1", "quoted delimiter"),
        ("echo $(( {{V}} + 1 ))", "1:10", "arithmetic"),
        ("echo $(( \"{{V}}\" + 1 ))", "1:11", "arithmetic"),
        ("(( x = {{V}} ))", "1:8", "arithmetic"),
        ("for (( i = 0; i < {{V}}; i++ )); do :; done", "1:19", "arithmetic"),
        ("echo $[{{V}}]", "1:8", "arithmetic"),
        ("if [[ {{V}} -gt 3 ]]; then :; fi", "1:7", "arithmetic"),
        ("[[ -v {{V}} ]]", "1:7", "arithmetic"),
        ("test -v {{V}}", "1:9", "name"),
        ("let x={{V}}", "1:7", "program text"),
        ("eval echo {{V}}", "1:11", "program text"),
        ("command eval \"{{V}}\"", "1:15", "program text"),
        ("trap \"rm {{V}}\" EXIT", "1:10", "program text"),
        ("sudo bash -c \"rm {{V}}\"", "1:18", "program text"),
        ("/opt/x/bin/python3 -c \"print('{{V}}')\"", "1:31", "program text"),
        ("python3 - <<E\nprint('{{V}}')\nE", "2:8", "interpreter"),
        ("bash <<E\nrm {{V}}\nE", "2:4", "interpreter"),
        ("read {{V}}", "1:6", "name"),
        ("printf -v {{V}} x", "1:11", "name"),
        ("declare {{V}}=1", "1:9", "name"),
        ("declare -i x={{V}}", "1:14", "name"),
        ("a[{{V}}]=1", "1:3", "subscript"),
        ("a=([{{V}}]=1)", "1:5", "subscript"),
        ("unset \"a[{{V}}]\"", "1:10", "name"),
        ("echo ${a[{{V}}]}", "1:10", "inside ${…}"),
        ("echo ${x:{{V}}}", "1:10", "inside ${…}"),
        ("echo ${x#{{V}}}", "1:10", "inside ${…}"),
        ("echo ${{V}}", "1:7", "directly after `$`"),
        ("echo \"${{V}}\"", "1:8", "directly after `$`"),
        ("{{V}}=1", "1:1", "part of a variable's name"),
        ("echo \"\\{{V}}\"", "1:8", "after a backslash"),
        ("echo {{V}} \"open", "1:12", "has no end"),
        ("echo {{V}} 'open", "1:12", "has no end"),
        ("echo {{V}} $(open", "1:14", "has no end"),
        ("cat {{V}} <<E\nopen", "1:11", "has no line `E`"),
        ("cat {{V}} <<E", "1:11", "has no lines"),
        ("echo {{V}} )", "1:12", "without `(`"),
    ] {
        let findings = texts(&one_command(command, &[("V", "x")]).expect_err(command));
        let start = format!("tasks[0] (only).commands[0]:{place}: ");
        assert!(findings.iter().any(|one| one.starts_with(&start) && one.contains(part)), "{command}: {findings:#?}");
    }
}

#[test]
fn a_program_without_variables_may_do_what_it_likes() {
    for command in
        ["echo $((1+2)) `date` $'\\n' '{{.Names}}'", "((x)) || eval true", "echo )", "f() { :; }; case x in y) ;; esac"]
    {
        assert!(one_command(command, &[]).is_ok(), "{command}");
    }
    // An element that is only a part of a program is told as such: the reference's own low-level suites were.
    let findings = texts(&one_command("python3 -c \"", &[]).unwrap_err());
    assert!(findings[0].contains("each element of `commands` is a whole program"), "{findings:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_program_makes_it_panic_or_keeps_a_reference(
        parts in prop::collection::vec(prop::sample::select(&[
            "{{V}}", "'", "\"", "$", "(", ")", "((", "))", "{", "}", "[", "]", "`", "\\", "\n", " ", "<<E", "<<'E'", "\nE\n", "#", ";;",
            "case", "esac", "in", "[[", "]]", "=", "a", "é", "|", "&", "${x:-", "$'", "<(", "eval ", "-c ", "bash ",
        ][..]), 0..24)
    ) {
        let command = format!("x {}", parts.concat());
        if let Ok(suite) = one_command(&command, &[("V", "v")]) {
            let text = &suite.tasks[0].commands[0].text;
            prop_assert_eq!(text.replace("\"${PREFAB_VAR_V}\"", "{{V}}").replace("${PREFAB_VAR_V}", "{{V}}"), command);
        }
    }
}
