"""Different words for one relation: a question says 出生, the document 生于.

The groups are everyday and office language in Chinese and English; each is matched as a pattern.
"""

import re
from collections.abc import Sequence
from typing import Final

from zhiku_services.assistant.answering.words import fold

_GROUPS: Final[tuple[re.Pattern[str], ...]] = tuple(
    re.compile(group)
    for group in (
        r"出生|诞生|生于|\bborn\b|\bbirth",
        r"去世|逝世|死亡|病逝|身亡|过世|(?<![士小])卒|遇难|\bdied?\b|\bdeath",
        r"作者|作家|创作|编写|所著|撰写|漫画家|编剧|\bauthor|\bwrote\b|\bwritten\b",
        r"位于|坐落|地处|在哪|哪里|何处|地址|地点|地带|栖息|分布|\bwhere\b|\blocat|\bsituated|\baddress",
        r"创立|成立|建立|创办|创建|始建|建于|建成|设立|\bfound(?:ed|er)|\bestablish",
        r"别名|别称|又称|又名|也叫|俗称|简称|亦称|叫什么|又叫|\balso (?:known|called)|\bshort for",
        r"毕业|就读|学历|母校|\bgraduat|\bdegree",
        (
            r"上限|最高|不超过|至多|最多|封顶|限额|不得超过|以内|\bmaximum|\blimit|\bup to\b"
            r"|\bno more than|\bat most|\bcap\b"
        ),
        r"下限|最低|至少|不少于|不低于|最少|以上|\bminimum|\bat least",
        r"审批|批准|核准|同意|审核|签字|\bapprov|\bsign[- ]?off|\bauthori[sz]",
        r"联系|电话|邮箱|热线|分机|\bcontact|\bphone|\be-?mail|\bhotline|\bhelp ?desk",
        r"负责|主管|承担|归口|\bresponsib|\bin charge|\bowner|\bhandled by",
        r"截止|之前|以前|最迟|不晚于|期限|内提交|\bdeadline|\bno later than|\bby the (?:\d|end)|\bwithin\b|\bdue\b",
        (
            r"多久|周期|频率|每隔|每[年月周天日季]|一次|\bhow often|\bevery\b"
            r"|\bper (?:year|month|week|day)|\bannual|\bmonthly|\bweekly|\bdaily"
        ),
        r"费用|报销|花费|\bexpens|\breimburs|\bcost",
        r"工资|薪资|薪水|薪酬|\bsalar|\bpay\b|\bwage|\bcompensation",
        r"请假|休假|假期|\bleave\b|\bvacation|\bholiday|\btime off|\bpto\b",
        r"离职|辞职|辞退|解除劳动|\bresign|\bterminat|\bquit|\bleaving the company",
        r"入职|新员工|报到|\bonboard|\bnew (?:hire|employee|starter)|\bjoin(?:s|ed|ing)?\b",
        r"密码|口令|\bpassword|\bpassphrase",
        r"手机|移动设备|\bphone|\bmobile|\bdevice",
        r"电脑|笔记本|计算机|\blaptop|\bcomputer|\bnotebook",
        r"远程|居家|在家办公|\bremote|\bwork(?:ing)? from home|\bhome ?office|\btelework",
        r"加班|\bovertime",
        r"出差|差旅|\btravel|\bbusiness trip",
        r"住宿|酒店|宾馆|\bhotel|\baccommodation|\blodging",
        r"餐费|餐补|伙食|用餐|\bmeals?\b|\bper diem",
        r"丢失|遗失|被盗|\blost\b|\bstolen|\btheft|\bmissing",
        r"泄露|外泄|\bleak|\bbreach|\bdisclos",
        r"禁止|不得|不允许|严禁|不可|\bprohibit|\bforbid|\bnot allowed|\bmust not",
        r"保存|留存|保留|存档|归档|\bretain|\bretention|\bkept\b|\bkeep\b|\bstored? for",
        r"生效|实施|施行|执行|\beffective|\bin force",
        r"收入|营收|营业额|销售额|\brevenue|\bsales|\bturnover",
        r"利润|盈利|\bprofit|\bearnings",
        r"职位|职务|担任|出任|任职|\bposition|\brole\b|\bserved? as|\bworks? as",
        r"目的|旨在|为了|\bpurpose|\baim|\bin order to",
        r"特点|特征|体型|外观|呈|\bfeatures?|\bcharacter",
        r"类型|种类|分为|包括|包含|\btypes?|\bkinds?|\bconsists?|\binclud",
        r"面积|平方|公顷|\barea\b|\bsquare",
        r"人口|居民|\bpopulation|\binhabitants",
        r"开通|启用|通车|投入使用|开业|\bopened|\blaunch",
        r"播出|首播|上映|发行|推出|\breleased?|\bbroadcast|\bpremier|\baired",
        r"单独|一个人|独自|独立(?:作业|工作)|\balone\b|\bon (?:my|your|one's) own",
        r"夜间|夜里|晚上|深夜|次日|凌晨|\bnight|\bevening",
        r"颜色|色|\bcolou?r",
        r"原因|因为|由于|导致|\bbecause|\breason|\bcause|\bdue to",
        r"称号|外号|绰号|誉为|称为|\bnicknam|\btitle",
        r"关闭|停用|取消|\bturn(?:ed)? off|\bdisabl|\bcancel",
        r"打开|开启|启动|\bturn(?:ed)? on|\benabl|\bactivat|\bstart",
    )
)


def relations_of(question: str) -> tuple[re.Pattern[str], ...]:
    """The relations that a question speaks of."""
    folded = fold(question)
    return tuple(group for group in _GROUPS if group.search(folded))


def relation_match(asked: Sequence[re.Pattern[str]], text: str) -> float:
    """The share of the asked relations that a text speaks of, 0..1; 0.5 if none is asked."""
    if not asked:
        return 0.5
    told = fold(text)
    return sum(bool(group.search(told)) for group in asked) / len(asked)
