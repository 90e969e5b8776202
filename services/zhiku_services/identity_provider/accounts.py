"""The demo accounts: three people in three departments, so that the permission story can be seen, and two more
who decide on what takes more than one person.

Their password stands on the login page. That is why this provider serves loopback only.
"""

import hmac
from dataclasses import dataclass

from zhiku_platform.contracts.identity import DirectoryUser, Role

DEMO_PASSWORD = "demo"  # noqa: S105 - shown to everybody on the login page


@dataclass(frozen=True)
class DemoAccount:
    """A directory user, and what the login page says about them in Chinese and English."""

    user: DirectoryUser
    name: tuple[str, str]
    department: tuple[str, str]
    role: tuple[str, str]
    sees: tuple[str, str]


DEMO_ACCOUNTS: tuple[DemoAccount, ...] = (
    DemoAccount(
        DirectoryUser(
            sub="lin",
            username="lin",
            name="林晓",
            email="lin@zhiku.example",
            department="研发部 Engineering",
            roles=frozenset({Role.EMPLOYEE, Role.ML_ENGINEER}),
            groups=frozenset({"engineering"}),
        ),
        name=("林晓", "Lin Xiao"),
        department=("研发部", "Engineering"),
        role=("员工、模型工程师", "Employee, ML engineer"),
        sees=("公司手册和研发部文档", "The company handbook and Engineering's documents"),
    ),
    DemoAccount(
        DirectoryUser(
            sub="zhao",
            username="zhao",
            name="赵敏",
            email="zhao@zhiku.example",
            department="财务部 Finance",
            roles=frozenset({Role.EMPLOYEE, Role.KB_ADMIN}),
            groups=frozenset({"finance"}),
        ),
        name=("赵敏", "Zhao Min"),
        department=("财务部", "Finance"),
        role=("员工、知识库管理员", "Employee, knowledge base administrator"),
        sees=("公司手册和财务部文档", "The company handbook and Finance's documents"),
    ),
    DemoAccount(
        DirectoryUser(
            sub="chen",
            username="chen",
            name="陈律",
            email="chen@zhiku.example",
            department="合规部 Compliance",
            roles=frozenset({Role.EMPLOYEE, Role.COMPLIANCE_REVIEWER}),
            groups=frozenset({"compliance"}),
        ),
        name=("陈律", "Chen Lü"),
        department=("合规部", "Compliance"),
        role=("员工、合规审查员", "Employee, compliance reviewer"),
        sees=("公司手册和合规部文档", "The company handbook and Compliance's documents"),
    ),
    DemoAccount(
        DirectoryUser(
            sub="fang",
            username="fang",
            name="方圆",
            email="fang@zhiku.example",
            department="法务部 Legal",
            roles=frozenset({Role.EMPLOYEE, Role.COMPLIANCE_APPROVER}),
            groups=frozenset({"legal"}),
        ),
        name=("方圆", "Fang Yuan"),
        department=("法务部", "Legal"),
        role=("员工、合规审批人", "Employee, compliance approver"),
        sees=("公司手册和待审批事项", "The company handbook, and what waits for approval"),
    ),
    DemoAccount(
        DirectoryUser(
            sub="wu",
            username="wu",
            name="吴越",
            email="wu@zhiku.example",
            department="内审部 Internal Audit",
            roles=frozenset({Role.EMPLOYEE, Role.COMPLIANCE_APPROVER}),
            groups=frozenset({"internal-audit"}),
        ),
        name=("吴越", "Wu Yue"),
        department=("内审部", "Internal Audit"),
        role=("员工、合规审批人", "Employee, compliance approver"),
        sees=("公司手册和待审批事项", "The company handbook, and what waits for approval"),
    ),
)


def find_account(username: str) -> DemoAccount | None:
    """The account of that user name, or None."""
    return next((account for account in DEMO_ACCOUNTS if account.user.username == username), None)


def check_password(username: str, password: str) -> DemoAccount | None:
    """The account, if the password is right."""
    account = find_account(username)
    right = hmac.compare_digest(password.encode(), DEMO_PASSWORD.encode())
    return account if right else None
