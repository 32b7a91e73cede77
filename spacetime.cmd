@echo off
rem SPDX-License-Identifier: GPL-3.0-or-later
rem ComfyUI-Spacetime's command line for Windows: sets up on first use, then hands over to host\cli.py.
rem No values inside brackets of an if: a folder such as "Program Files (x86)" would close them.
setlocal EnableExtensions DisableDelayedExpansion
set "root=%~dp0"
set "comfyui=%COMFYUI%"
if not defined comfyui for %%P in ("%root%..") do if /i "%%~nxP"=="custom_nodes" if exist "%root%..\..\main.py" set "comfyui=%root%..\.."
if not defined comfyui goto own
if not exist "%comfyui%\main.py" goto no_comfyui
set "python=%COMFYUI_PYTHON%"
for %%P in ("%comfyui%\.venv\Scripts\python.exe" "%comfyui%\venv\Scripts\python.exe" "%comfyui%\..\python_embeded\python.exe" "%comfyui%\python_embeded\python.exe") do if not defined python if exist %%P set "python=%%~P"
if not defined python set "python=python"
goto run

:no_comfyui
echo spacetime: COMFYUI=%comfyui% is not a ComfyUI folder: it holds no main.py>&2
exit /b 1

:own
set "python=%root%.venv\Scripts\python.exe"
if exist "%root%.venv\spacetime-ready" if exist "%python%" goto run
if "%~1"=="" goto help
for %%A in (-h --help help) do if "%~1"=="%%A" goto help
set base=python
where py >nul 2>nul && set base=py -3
if defined SPACETIME_PYTHON set base="%SPACETIME_PYTHON%"
%base% -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul || goto no_python
if "%~1"=="doctor" goto doctor
%base% -P "%root%host\entry.py" host.setup || exit /b 1
if "%~1"=="setup" exit /b 0
goto run

:no_python
echo spacetime: Python 3.11 or newer is needed; get it from python.org or the Microsoft Store, or name one in SPACETIME_PYTHON>&2
exit /b 1

:doctor
%base% -P "%root%host\entry.py" host.doctor %2 %3
exit /b

:help
echo Usage: spacetime COMMAND [OPTION ...]
echo.
echo   render  make a video from a prompt or run a workflow file
echo   serve   start ComfyUI with Spacetime, for the browser
echo   test    run the tests
echo   doctor  tell what was found, what is missing and how to mend it
echo   setup   install everything now; the other commands do so when needed
echo.
echo This folder is not set up yet: the first command installs PyTorch, ComfyUI and their packages into .venv and .host
echo here (about 1.5 GB) and nothing elsewhere. To use a ComfyUI of your own: set COMFYUI=C:\path\to\ComfyUI
exit /b 0

:run
"%python%" -P "%root%host\entry.py" host %*
exit /b
