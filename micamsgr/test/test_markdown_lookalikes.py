"""
Tests for what looks like Markdown, and is to stay as it is.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.markdown import plain

LOOKALIKES = """\
a * b * c
Total: (3+2)*19.90 € + (1)*5 € = 104.50 €
(10+5)*2 = 30, (1+1)*2 = 4
(1+2)*3*4 = 36
(1+2)*(3+4)*(5+6)
(x+1)**2 + (y+1)**2 = r**2
f(x)*g(x)*h(x)
20%*5 + 30%*7
10€*3*2, 90°*2 + 45°*3
Mix (50 g)*2 and (30 g)*3.
LIKE '%*' AND c LIKE '*%'
5'*3' and 6'*4', 5"*3" and 6"*4"
5!*4! + 3!*2!
[1]*2 + {x}*3*y
(*see 2*3)
（3+2）*5 + （1）*5*2
（上底+下底）*高/2
单价*3+运费*2
٢*٣*٤ and २*३*४
2*3*4 = 24
x**2 + y**2
f*** that s**t and f**k
10* (*plus VAT)
from 3 *, up to 5*
def f(*args, **kwargs)
"*.txt" and "*.md"
snake_case and _private and __init__.py
C:\\path, C:\\_tmp\\*.txt and \\\\server\\_share_
\\(A^*B^*\\) and \\[a_{b}*c_d\\]
\\, \\; \\{a\\} \\\\- and \\\\.
#1, #_sale_of_the_year_ and @_the_shop_
C# and No. # 5
1. FC Köln
1986. A great year.
-5 °C
5 > 3
> 3 people
The __init__ method and the __str__ method.
>_< and >:-( and <3 and :-)
+ shipping
~5 and ~/a~~
https://a.example/_b_/*c*?d=1&e=2
www.a.example/_b_*
first_last_@a.example and _x_@a.example
[sic] and [1] and [^2] and [1]: https://a.example
a[0](1) and f[i](x)
<name>, List<String>, a<b and c>d
AT&T &c. &nosuch;
Name: ____________
____________
=====
 indented,  twice  spaced \t tabbed""".splitlines()


class LookalikeTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.markdown.plain`.
    """

    def test_no_markup(self) -> None:
        """
        Text without markup comes back as it is, also where it looks like
        Markdown.
        """
        for text in ["", " \n", "Hello.\n\n\n  Alice  \r\n", *LOOKALIKES]:
            self.assertEqual(plain(text), text)

    def test_beside_markup(self) -> None:
        """
        What only looks like Markdown stays whole beside what is Markdown.
        """
        for text in LOOKALIKES:
            self.assertEqual(
                plain(f"**bold**\n\n{text}\n\n*it*"),
                f"bold\n\n{text.lstrip()}\n\nit",
            )

    def test_struck_beside(self) -> None:
        """
        Two tildes that nothing closes cross nothing out.
        """
        for text in ("from ~~5 to ~~10 km", "5~~ and ~~ 10"):
            self.assertEqual(plain(text), text)

    def test_emphasis_beside(self) -> None:
        """
        Emphasis is found where it meets brackets, quotation marks,
        apostrophes, links and scripts that are written without spaces.
        """
        for text, wanted in [
            ("l'**art** et d’*or*", "l'art et d’or"),
            ("»*a*« and \"*b*\" ('*c*')", "»a« and \"b\" ('c')"),
            ("**a**(*b*), (*c*): **d (e)**", "a(b), (c): d (e)"),
            ("**Note:**This, **1.**That", "Note:This, 1.That"),
            ("**a*b = 2*c, 3*(d+1) = (d)*e** *f*", "a*b = 2*c, 3*(d+1) = (d)*e f"),
            ("*N*ew *Y*ork, **so *N*ew**, *Part 2*", "New York, so New, Part 2"),
            ("[a](//b)**c**`d`**e**", "a: //b cde"),
            ("用Python**编写**的**「名前」**Maps", "用Python编写的「名前」Maps"),
            (
                "（税込）**500円**です **서울(Seoul)**은",
                "（税込）500円です 서울(Seoul)은",
            ),
            ("ה**מבצע** و**«النص»**ا", "המבצע و«النص»ا"),
        ]:
            self.assertEqual(plain(text), wanted)
