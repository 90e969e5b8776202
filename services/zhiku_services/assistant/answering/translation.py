"""Keywords of a question in the other language, from a glossary of everyday office words.

It lets a Chinese question find an English document, and the other way round, where no model can translate.
Names in Latin letters and numbers are kept as they are. It makes words to search with, not sentences to read.
"""

import re
from collections.abc import Mapping
from typing import Final

from zhiku_services.assistant.answering.wording import tongue_of
from zhiku_services.assistant.answering.words import content_runs, fold, names

# Each entry: Chinese words / English words; the first of a side is what is written when translating to it.
_ENTRIES: Final = """
多少天,几天/how many days  多少小时,几小时,几个小时/how many hours  几年,多少年/how many years
几个月/how many months
多少钱,多少元/how much  多少,几个,几次,几名/how many,how large,how much  多久,多长时间/how long
什么时候,几号,何时,哪天,哪一天/when,which date
谁,由谁,哪位/who  哪里,哪儿,在哪/where  为什么/why  怎么,如何/how to,how do  多久一次/how often
年假,年休假/annual leave,vacation  病假/sick leave  事假/personal leave  婚假/marriage leave
产假/maternity leave  陪产假/paternity leave
育儿假/parental leave  丧假/bereavement leave  志愿服务假,志愿者假/volunteer leave
志愿服务,志愿/volunteer,volunteering  调休/time off in lieu
请假,休假,假期/leave  假/leave  节假日,公众假期,法定节假日/public holiday,holiday  春节/Spring Festival
国庆/National Day  加班/overtime  打卡/clock in
考勤/attendance  迟到/late  工资,薪资,薪水/salary,pay  发放,发工资,发薪/paid,payroll  奖金池/bonus pool
奖金/bonus  津贴,补贴/allowance  每日补贴,出差补贴/per diem
福利/benefit  养老金/pension  保险/insurance  体检/medical check  学习预算,培训预算/learning budget  预算/budget
培训/training
试用期/probation  离职,辞职/resign,leaver,leaving  通知期,提前通知/notice  入职,新员工/onboarding,new employee
转正/confirmation  绩效/performance
职级,级别/grade  合同/contract  员工/employee,employees  经理/manager  总监/director
首席财务官,财务总监/Chief Financial Officer  导师/mentor  实习生/intern
出差,差旅/travel,business trip,trip  报销/expense,reimbursement,claim  报销单/expense claim
发票/invoice,receipt  酒店,住宿/hotel  机票,航班/flight  火车/train
出租车/taxi  餐费,用餐/meal,meals  上限,限额/cap,limit,maximum  例外/exception,exceptions  标准/standard,rate
审批,批准/approve,approval,approves
提交,上交/hand in,submit  申请/apply,request  截止/deadline  工作日/working days  每天,每日/per day,daily
每周/per week,weekly  每个月,每月/per month,monthly
每年,年度/per year,yearly,annual  季度/quarter  晚,夜/night  周末/weekend  笔记本电脑,笔记本/laptop
电脑,计算机/computer  手机/mobile phone,phone
电话,号码/number,phone  分机/extension  密码/password  登录/sign-in,login,session  账号,账户/account
邮箱/mailbox  邮件/e-mail,mail  附件/attachment
服务台/service desk,helpdesk  更换,换新/replaced,replace  使用/used,use  丢失,遗失/lost  被盗,偷/stolen
软件/software  安装/install  备份/backup  恢复/restore
服务器/server  生产环境/production  访问,权限/access  授权/granted,grant  值班/on-call  主值班/primary
事故,故障/incident  回滚/rollback  发布/release
固件/firmware  灰度/canary  加密/encryption  保密,秘密/confidential,secret  信息安全/information security
数据/data  泄露/leak,breach  个人信息/personal data
外部/external  人工智能/AI  文件/document,file  远程办公,远程工作,居家办公/remote work,work remotely,remotely
办公室/office  会议室/meeting room,room  座位/seats
食堂/canteen  菜单/menu  停车/parking  班车/shuttle bus  自行车/bicycle  地址/address  开放,开门/open,opens
搬迁,搬家/move  园区/campus  楼层/floor
实验室/laboratory,lab  标定,校准/calibration  化学品/chemical  溅入,飞溅/splash  眼睛,眼/eye  冲洗/rinse
废液/waste  消防,火灾/fire  急救/first aid  安全/safety
应急,紧急/emergency  疏散/evacuation  原液,溶液/solution  有效期/shelf life,valid  传感器/sensor
水质/water quality  单独/alone  夜间/at night
举报/report,whistleblowing  调查/investigation  案件/case  期限/deadline,time limit  礼品,礼物/gift
登记/register  合规/compliance  利益冲突/conflict of interest
采购/purchasing,procurement  供应商/supplier,vendor  客户/customer  收入,营收/revenue  利润/profit
股价/share price  董事会/board  公司/company  总额/total
部门/department  研发/research and development  财务/finance  人力资源/human resources  法务/legal  工厂/plant
总部/headquarters  分公司/branch  项目/project
保存,保留/kept,retention,retain  最多,最长/at most,maximum  至少/at least  之前/before  之后/after
开始/begin,start,starts  结束/end  更新/update  版本/version
上海/Shanghai  北京/Beijing  深圳/Shenzhen  广州/Guangzhou  杭州/Hangzhou  苏州/Suzhou  厦门/Xiamen
香港/Hong Kong  新加坡/Singapore  东京/Tokyo
星期一,周一/Monday  星期二,周二/Tuesday  星期三,周三/Wednesday  星期四,周四/Thursday  星期五,周五/Friday
伦敦/London  苏黎世/Zurich  奥斯陆/Oslo  鹿特丹/Rotterdam  柏林/Berlin  巴黎/Paris  纽约/New York
雷克雅未克/Reykjavik  海外/overseas,international  国内/domestic
"""


def _read(entries: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    to_english: dict[str, str] = {}
    to_chinese: dict[str, str] = {}
    for entry in re.split(r"\s{2,}|\n", entries.strip()):
        chinese, english = (side.split(",") for side in entry.split("/"))
        for word in chinese:
            to_english.setdefault(word, english[0])
        for word in english:
            to_chinese.setdefault(word.lower(), chinese[0])
    return to_english, to_chinese


_TO_ENGLISH, _TO_CHINESE = _read(_ENTRIES)


def _any_of(words: Mapping[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


# Of the content words of a question at least this share must be known; chosen by us.
_KNOWN_SHARE: Final = 0.6
_CHINESE: Final = re.compile(rf"(?P<known>{_any_of(_TO_ENGLISH)})|(?P<kept>[a-z][a-z0-9.+-]*|\d[\d.,]*%?)")
_ENGLISH: Final = re.compile(
    rf"\b(?P<known>(?:{_any_of(_TO_CHINESE)})s?)\b|\b(?P<kept>\d[\d.,]*%?|[a-z]+\d[a-z0-9]*)\b"
)


def translate_keywords(question: str) -> str | None:
    """The keywords of a question in the other language, in order.

    None if fewer than two are known, or so few that another question would be asked.
    """
    is_chinese = tongue_of(question) == "zh"
    folded = fold(question)
    found = known_keywords(question)
    rest = (_CHINESE if is_chinese else _ENGLISH).sub(" ", folded)
    named = [] if is_chinese else sorted(name for name in names(question) if name in rest)
    unknown = len([run for run in _unknown_runs(rest) if run not in " ".join(named)])
    if len(found) < 2 or len(found) < _KNOWN_SHARE * (len(found) + unknown):
        return None
    return " ".join([*found, *named])


def translate_name(name: str) -> str:
    """A thing's name in the other language; "" unless every content word of it is known."""
    is_chinese = tongue_of(name) == "zh"
    if _unknown_runs((_CHINESE if is_chinese else _ENGLISH).sub(" ", fold(name))):
        return ""
    return (" " if is_chinese else "").join(known_keywords(name))


def known_keywords(text: str) -> list[str]:
    """The words of a text that the glossary knows, in the other language; Latin names and numbers as they are."""
    pattern, table = (_CHINESE, _TO_ENGLISH) if tongue_of(text) == "zh" else (_ENGLISH, _TO_CHINESE)
    found = (match["kept"] or _look_up(match["known"], table) for match in pattern.finditer(fold(text)))
    return list(dict.fromkeys(found))


def _unknown_runs(rest: str) -> list[str]:
    """The content words that the glossary does not know; a run of Chinese characters counts as one word."""
    return [run for piece in re.findall(r"[\u3400-\u9fff]+|[a-z]+", rest) for run in content_runs(piece)]


def _look_up(word: str, table: Mapping[str, str]) -> str:
    return table[word] if word in table else table[word.removesuffix("s")]
