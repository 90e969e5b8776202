import pytest

from zhiku_platform.text.language import detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("员工手册第三章：休假制度。", "zh"),
        ("在 Kubernetes 上部署 Zhiku，需要 helm 3 和 PostgreSQL。", "zh"),
        ("繁體中文的公司規章", "zh"),
        ("Employees get fifteen days of annual leave.", "en"),
        ("Total revenue 211,915 198,270", "en"),
        ("The term 知识库 means knowledge base in this manual.", "en"),
        ("Die Mitarbeiter haben Anspruch auf Urlaub und das ist nicht verhandelbar.", "other"),
        ("Les employés ont droit à des congés payés dans la société.", "other"),
        ("従業員は年次有給休暇を取得できます。", "other"),
        ("Сотрудники имеют право на отпуск.", "other"),
        ("2023 – 15.2 %", "other"),
        ("", "other"),
    ],
)
def test_a_text_has_the_language_of_most_of_it(text: str, language: str) -> None:
    assert detect_language(text) == language
